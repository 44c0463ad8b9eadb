/** How long a dated contract still trades, and why one does not: words for the header and the line under it. */

import { ABSENT, dateAndTime, duration } from "./format.js";

const PERPETUAL = "perpetual";
const SETTLEMENT = "settlement"; // its time is over, the index it is paid by is not booked yet
const EXPIRED = "expired";
const STALE = "stale"; // before its first price, and once its price was said to be old

export function isDated(instrument) {
  return instrument.settlement_period !== PERPETUAL;
}

/** The countdown by venue time (ms, null before the venue has told it). */
export function timeLeft({ expiration_timestamp: expiry }, { state }, time) {
  if (state === SETTLEMENT || state === EXPIRED || time >= expiry) return "over";
  return time === null ? ABSENT : duration(expiry - time);
}

export function expiryTime({ expiration_timestamp: expiry }) {
  return `${dateAndTime(expiry)} UTC`;
}

/** One sentence about a contract whose time is over or that has no fresh price, else empty; `price` writes a price. */
export function outcomeOf(instrument, ticker, price) {
  const name = instrument.instrument_name;
  if (ticker.state === SETTLEMENT) {
    return `${name} no longer trades. Its settlement index, the mean before expiry, is not booked yet.`;
  }
  if (ticker.state === STALE) {
    const lack = typeof ticker.mark_price === "number" ? "has no fresh price" : "has no price yet";
    return `${name} ${lack}: only reduce-only orders trade until the next one.`;
  }
  if (ticker.state !== EXPIRED) return "";
  const unit = `${instrument.settlement_currency} a ${instrument.base_currency}`;
  return `${name} has expired: settled at ${price(ticker.index_price)}, pays ${price(ticker.mark_price)} ${unit}.`;
}
