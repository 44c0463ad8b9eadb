/** One order book, kept from a snapshot and the numbered changes after it. */

export class Book {
  constructor() {
    this.bids = new Map(); // price -> amount
    this.asks = new Map();
    this.changeId = null; // null until a snapshot, and again after a gap
  }

  get isCurrent() {
    return this.changeId !== null;
  }

  /** Take one message of the book channel. False: a change is missing, ask for a new snapshot. */
  apply(message) {
    if (message.type === "snapshot") {
      this.bids.clear();
      this.asks.clear();
    } else if (!this.isCurrent) {
      return true;
    } else if (message.prev_change_id !== this.changeId) {
      this.changeId = null;
      return false;
    }
    change(this.bids, message.bids);
    change(this.asks, message.asks);
    this.changeId = message.change_id;
    return true;
  }

  bestBids(depth) {
    return cumulated(this.bids, (a, b) => b - a, depth);
  }

  bestAsks(depth) {
    return cumulated(this.asks, (a, b) => a - b, depth);
  }
}

function change(side, levels) {
  for (const [action, price, amount] of levels) {
    if (action === "delete") side.delete(price);
    else side.set(price, amount);
  }
}

function cumulated(side, order, depth) {
  let total = 0;
  const prices = [...side.keys()].sort(order).slice(0, depth);
  return prices.map((price) => {
    const amount = side.get(price);
    total += amount;
    return { price, amount, total };
  });
}
