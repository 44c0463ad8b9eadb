/** The list of trades, newest first, in rows that are used again. */

import { inStepsOf, timeOfDay } from "./format.js";
import { put } from "./frame.js";

const ROWS = 60;

export class Tape {
  constructor(onDrawn) {
    this.onDrawn = onDrawn;
    this.body = document.querySelector("#trades tbody");
    this.empty = document.getElementById("trades-empty");
    this.market = null;
    this.drawnSequence = -1;
  }

  show(market) {
    this.market = market;
    this.price = inStepsOf(market.instrument.tick_size);
    this.amount = inStepsOf(market.instrument.min_trade_amount);
    this.clear();
  }

  clear() {
    this.body.replaceChildren();
    this.drawnSequence = -1;
    this.empty.hidden = false;
  }

  draw() {
    const first = this.drawnSequence < 0;
    const recent = this.market.trades.recent.slice(-ROWS);
    const unseen = recent.filter((trade) => trade.trade_seq > this.drawnSequence);
    for (const trade of unseen) this.#prepend(trade, !first);
    put(this.empty, this.market.trades.seeded ? "No trade yet." : "Loading.");
    if (unseen.length === 0) return;
    this.drawnSequence = unseen.at(-1).trade_seq;
    this.empty.hidden = true;
    this.onDrawn();
  }

  #prepend(trade, fresh) {
    const row = this.body.rows.length < ROWS ? newRow() : this.body.rows[ROWS - 1];
    const [price, amount, time] = row.cells;
    put(price, this.price(trade.price));
    put(amount, this.amount(trade.amount));
    put(time, timeOfDay(trade.timestamp));
    price.className = trade.direction === "buy" ? "buy" : "sell";
    row.className = fresh ? "fresh" : "";
    row.toggleAttribute("data-liquidation", Boolean(trade.liquidation) && trade.liquidation !== "none");
    this.body.prepend(row);
  }
}

function newRow() {
  const row = document.createElement("tr");
  for (let cell = 0; cell < 3; cell += 1) row.insertCell();
  return row;
}
