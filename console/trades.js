/** The trades of one instrument in order, each once, from a first list and the channel after it. */

const KEPT = 1_000;

export class Trades {
  #early = []; // what the channel said before the first list arrived
  #seeded = false;

  /** `onTrade(trade)` hears every trade once, oldest first. */
  constructor(onTrade) {
    this.onTrade = onTrade;
    this.recent = []; // oldest first
  }

  /** Whether the first list has come: until then nobody knows that there was no trade. */
  get seeded() {
    return this.#seeded;
  }

  get last() {
    return this.recent.at(-1) ?? null;
  }

  /** Take a list that the channel sent. */
  add(trades) {
    if (!this.#seeded) this.#early.push(...trades);
    else this.#take(trades);
  }

  /** Take the venue's list of last trades. True: it does not continue ours, everything starts again. */
  seed(trades) {
    const newest = Math.max(0, ...trades.map((trade) => trade.trade_seq));
    const restarted = this.last !== null && newest < this.last.trade_seq;
    if (restarted) this.recent = [];
    this.#seeded = true;
    this.#take([...trades, ...this.#early]);
    this.#early = [];
    return restarted;
  }

  /** Hold what the channel says until the next `seed`. */
  await() {
    this.#seeded = false;
  }

  #take(trades) {
    for (const trade of trades.toSorted((a, b) => a.trade_seq - b.trade_seq)) {
      if (trade.trade_seq <= (this.last?.trade_seq ?? -1)) continue;
      this.recent.push(trade);
      this.onTrade(trade);
    }
    if (this.recent.length > KEPT) this.recent.splice(0, this.recent.length - KEPT);
  }
}
