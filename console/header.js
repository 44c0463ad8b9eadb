/** The figures of the instrument and of the node, and the banner under them. */

import { ABSENT, compact, dateAndTime, inStepsOf, percent } from "./format.js";
import { put } from "./frame.js";

const STATES = { connecting: "connecting", live: "live", lost: "reconnecting" };

export class Header {
  constructor() {
    this.fields = Object.fromEntries(
      [...document.querySelectorAll(".figures [id]")].map((element) => [element.id, element]),
    );
    this.market = null;
    this.time = null;
    this.state = "connecting";
    this.delay = null;
  }

  show(market) {
    this.market = market;
    this.price = inStepsOf(market.instrument.tick_size);
  }

  draw() {
    this.#drawNode();
    if (this.market !== null) this.#drawTicker(this.market.ticker ?? {}, this.market.instrument);
  }

  #drawNode() {
    const delay = this.state === "live" && this.delay !== null ? ` · ${this.delay} ms` : "";
    put(this.fields["venue-time"], dateAndTime(this.time));
    put(this.fields.connection, STATES[this.state] + delay);
    this.fields.connection.dataset.state = this.state;
  }

  #drawTicker(ticker, instrument) {
    const { fields, price } = this;
    const stats = ticker.stats ?? {};
    const coin = instrument.base_currency ?? "";
    const amount = (value) => (typeof value === "number" ? `${compact(value)} ${coin}` : ABSENT);
    const funding = ticker.funding_8h ?? ticker.current_funding;
    put(fields.mark, price(ticker.mark_price));
    put(fields.index, price(ticker.index_price));
    put(fields.funding, typeof funding === "number" ? percent(100 * funding, 4) : ABSENT);
    put(fields["open-interest"], amount(ticker.open_interest));
    put(fields["day-change"], percent(stats.price_change));
    put(fields["day-high"], price(stats.high));
    put(fields["day-low"], price(stats.low));
    put(fields["day-volume"], amount(stats.volume));
    colour(fields.funding, funding);
    colour(fields["day-change"], stats.price_change);
  }
}

function colour(element, value) {
  element.className = value > 0 ? "buy" : value < 0 ? "sell" : "";
}

/** Show which engine runs, and every setting of the node that is not fit for value. */
export function showStatus({ engine, unsafe = [], locked = false }) {
  put(document.getElementById("engine"), locked ? `${engine}, locked` : String(engine ?? ABSENT));
  const items = unsafe.map((entry) => {
    const item = document.createElement("li");
    item.textContent = String(entry);
    return item;
  });
  document.getElementById("unsafe").replaceChildren(...items);
}
