/** `data-ready="true"` on the body once the page shows a first book, trade and list of batches. */

const TRADE_PATIENCE_MS = 2_000;

export class Readiness {
  #missing = new Set(["book", "trade", "batches"]);

  /** A quiet venue may have no trade: wait for one only so long. */
  begin() {
    setTimeout(() => this.drawn("trade"), TRADE_PATIENCE_MS);
  }

  drawn(part) {
    if (!this.#missing.delete(part) || this.#missing.size > 0) return;
    document.body.dataset.ready = "true";
  }
}
