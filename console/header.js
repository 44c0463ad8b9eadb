/** The figures of the instrument and of the node, the banner under them, and the line about a contract that ended. */

import { expiryTime, isDated, outcomeOf, timeLeft } from "./expiry.js";
import { ABSENT, compact, dateAndTime, inStepsOf, percent } from "./format.js";
import { put } from "./frame.js";

const OPEN = "open";
const STATES = { connecting: "connecting", live: "live", lost: "reconnecting" };

export class Header {
  constructor() {
    this.fields = Object.fromEntries(
      [...document.querySelectorAll(".figures [id]")].map((element) => [element.id, element]),
    );
    this.fields.state = document.getElementById("state");
    this.outcome = document.getElementById("outcome");
    this.market = null;
    this.time = null;
    this.state = "connecting";
    this.delay = null;
  }

  show(market) {
    const { instrument } = market;
    const isOption = instrument.kind === "option";
    this.market = market;
    this.price = inStepsOf(instrument.tick_size);
    this.exactPrice = inStepsOf(Number(instrument.price_unit)); // mark and index fall between ticks
    this.fields["rate-figure"].hidden = isDated(instrument) && !isOption;
    put(this.fields["rate-name"], isOption ? "IV · delta" : "Funding 8 h");
    this.fields["expiry-figure"].hidden = !isDated(instrument);
    this.fields.expiry.title = isDated(instrument) ? expiryTime(instrument) : "";
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
    const { fields, price, exactPrice } = this;
    const stats = ticker.stats ?? {};
    const coin = instrument.base_currency ?? "";
    const step = instrument.min_trade_amount;
    const amount = (value) => (typeof value === "number" ? `${compact(value, step)} ${coin}` : ABSENT);
    put(fields.mark, exactPrice(ticker.mark_price));
    put(fields.index, exactPrice(ticker.index_price));
    put(fields.expiry, timeLeft(instrument, ticker, this.time));
    put(fields["open-interest"], amount(ticker.open_interest));
    put(fields["day-change"], percent(stats.price_change));
    put(fields["day-high"], price(stats.high));
    put(fields["day-low"], price(stats.low));
    put(fields["day-volume"], amount(stats.volume));
    colour(fields["day-change"], stats.price_change);
    this.#drawRate(ticker, instrument);
    put(fields.state, ticker.state ?? "");
    fields.state.hidden = ticker.state === undefined || ticker.state === OPEN;
    const outcome = outcomeOf(instrument, ticker, exactPrice);
    put(this.outcome, outcome);
    this.outcome.hidden = outcome === "";
  }

  /** A perpetual's funding, an option's implied volatility with its delta; a dated future has neither. */
  #drawRate(ticker, instrument) {
    const { rate } = this.fields;
    if (instrument.kind === "option") {
      put(rate, typeof ticker.mark_iv === "number" ? volatility(ticker) : ABSENT);
      colour(rate, 0);
      return;
    }
    const funding = ticker.funding_8h ?? ticker.current_funding;
    put(rate, typeof funding === "number" ? percent(100 * funding, 4) : ABSENT);
    colour(rate, funding);
  }
}

function volatility({ mark_iv: points, greeks }) {
  const delta = greeks?.delta;
  return `${points.toFixed(1)} %${typeof delta === "number" ? ` · ${delta.toFixed(2)}` : ""}`;
}

function colour(element, value) {
  element.className = value > 0 ? "buy" : value < 0 ? "sell" : "";
}

/** Show which engine runs, and every setting of the node that is not fit for value. */
export function showStatus({ engine, unsafe = [], locked = "false" }) {
  put(document.getElementById("engine"), locked !== "false" ? `${engine}, locked` : String(engine ?? ABSENT));
  const items = unsafe.map((entry) => {
    const item = document.createElement("li");
    item.textContent = String(entry);
    return item;
  });
  document.getElementById("unsafe").replaceChildren(...items);
}
