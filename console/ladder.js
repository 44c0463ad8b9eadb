/** The order book as a ladder: asks above, the spread between, bids below. */

import { ABSENT, inStepsOf } from "./format.js";
import { put } from "./frame.js";

const DEPTH = 20;

export class Ladder {
  constructor(onDrawn) {
    this.onDrawn = onDrawn;
    this.host = document.getElementById("ladder");
    this.note = document.getElementById("ladder-note");
    this.spread = document.getElementById("spread");
    this.spreadPoints = document.getElementById("spread-points");
    this.lastPrice = document.getElementById("last-price");
    this.asks = rungs(document.getElementById("asks")).reverse(); // the best ask is the lowest row
    this.bids = rungs(document.getElementById("bids"));
    this.market = null;
  }

  show(market) {
    this.market = market;
    this.price = inStepsOf(market.instrument.tick_size);
    this.amount = inStepsOf(market.instrument.min_trade_amount);
    put(document.getElementById("amount-head"), `Amount, ${market.instrument.base_currency ?? "coin"}`);
  }

  draw() {
    const { book, lastTrade, resubscriptions } = this.market;
    const bids = book.bestBids(DEPTH);
    const asks = book.bestAsks(DEPTH);
    const deepest = Math.max(bids.at(-1)?.total ?? 0, asks.at(-1)?.total ?? 0);
    this.#fill(this.bids, bids, deepest);
    this.#fill(this.asks, asks, deepest);
    this.#drawSpread(bids[0]?.price, asks[0]?.price);
    this.#drawLast(lastTrade);
    this.host.classList.toggle("stale", !book.isCurrent);
    this.host.dataset.changeId = book.changeId ?? "";
    this.host.dataset.resubscriptions = resubscriptions;
    put(this.note, book.isCurrent ? "" : "waiting for a snapshot");
    if (book.isCurrent) this.onDrawn();
  }

  #fill(rows, levels, deepest) {
    rows.forEach(({ row, cells }, index) => {
      const level = levels[index];
      row.toggleAttribute("data-vacant", !level);
      put(cells[0], level ? this.price(level.price) : "");
      put(cells[1], level ? this.amount(level.amount) : "");
      put(cells[2], level ? this.amount(level.total) : "");
      const share = level && deepest > 0 ? (100 * level.total) / deepest : 0;
      row.style.setProperty("--depth", `${share.toFixed(1)}%`);
    });
  }

  #drawSpread(bid, ask) {
    const known = bid !== undefined && ask !== undefined;
    const points = known ? (20_000 * (ask - bid)) / (ask + bid) : 0;
    put(this.spread, known ? this.price(ask - bid) : ABSENT);
    put(this.spreadPoints, known ? `(${points.toFixed(2)} bp)` : "");
  }

  #drawLast(trade) {
    put(this.lastPrice, trade ? this.price(trade.price) : ABSENT);
    this.lastPrice.className = trade?.direction ?? "";
  }
}

function rungs(body) {
  return Array.from({ length: DEPTH }, () => {
    const row = body.insertRow();
    return { row, cells: [row.insertCell(), row.insertCell(), row.insertCell()] };
  });
}
