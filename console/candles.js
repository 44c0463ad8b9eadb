/** Candles of one length, built trade by trade. */

const KEPT = 5_000;

export class Candles {
  #changedFrom = 0;

  constructor(seconds) {
    this.seconds = seconds;
    this.list = []; // {time (s), open, high, low, close, volume}, oldest first
  }

  add({ timestamp, price, amount }) {
    const start = Math.floor(timestamp / 1000 / this.seconds) * this.seconds;
    const last = this.list.at(-1);
    if (last === undefined || start > last.time) {
      this.list.push({ time: start, open: price, high: price, low: price, close: price, volume: amount });
      if (this.list.length > KEPT) this.#forgetOldest();
      return;
    }
    last.high = Math.max(last.high, price);
    last.low = Math.min(last.low, price);
    last.close = price;
    last.volume += amount;
  }

  clear() {
    this.list = [];
    this.#changedFrom = 0;
  }

  /** The candles that may have changed since the last call. */
  changed() {
    const candles = this.list.slice(this.#changedFrom);
    this.#changedFrom = Math.max(0, this.list.length - 1);
    return candles;
  }

  #forgetOldest() {
    this.list.shift();
    this.#changedFrom = Math.max(0, this.#changedFrom - 1);
  }
}
