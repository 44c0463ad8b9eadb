/** The newest batches that the node has put on chain. */

import { ABSENT, short, whole } from "./format.js";
import { put } from "./frame.js";

const KEPT = 40;
const COLUMNS = 9;

export class Batches {
  #rows = new Map(); // number -> row
  #list = new Map(); // number -> batch
  #landed = new Set();
  #finalised = new Set();

  constructor(onDrawn) {
    this.onDrawn = onDrawn;
    this.body = document.querySelector("#batches tbody");
    this.empty = document.getElementById("batches-empty");
    this.summary = document.getElementById("batches-summary");
  }

  /** Start again from the venue's list. */
  seed(batches) {
    this.#list = new Map(batches.slice(0, KEPT).map((batch) => [batch.number, batch]));
  }

  /** Take one batch of the channel: newly posted, or now final. */
  add(batch) {
    const known = this.#list.get(batch.number);
    if (known === undefined) this.#landed.add(batch.number);
    else if (known.status !== batch.status) this.#finalised.add(batch.number);
    this.#list.set(batch.number, batch);
    if (this.#list.size > KEPT) this.#list.delete(Math.min(...this.#list.keys()));
  }

  draw() {
    const newestFirst = [...this.#list.values()].sort((a, b) => b.number - a.number);
    for (const [number, row] of this.#rows) {
      if (this.#list.has(number)) continue;
      row.remove();
      this.#rows.delete(number);
    }
    newestFirst.forEach((batch, index) => this.#drawRow(batch, index));
    this.#landed.clear();
    this.#finalised.clear();
    put(this.empty, "No batch posted yet.");
    this.empty.hidden = newestFirst.length > 0;
    put(this.summary, summaryOf(newestFirst));
    this.onDrawn();
  }

  #drawRow(batch, index) {
    let row = this.#rows.get(batch.number);
    if (row === undefined) {
      row = newRow();
      this.#rows.set(batch.number, row);
    }
    if (this.body.rows[index] !== row) this.body.insertBefore(row, this.body.rows[index] ?? null);
    row.dataset.number = batch.number;
    row.dataset.status = batch.status;
    if (this.#landed.has(batch.number)) row.className = "landed";
    if (this.#finalised.has(batch.number)) row.className = "finalised";
    textsOf(batch).forEach((text, column) => put(row.cells[column], text));
    row.cells[3].title = batch.settlement_root ?? "";
    row.cells[4].title = batch.engine_root ?? "";
    row.cells[5].title = batch.transaction ?? "";
  }
}

function textsOf(batch) {
  return [
    `#${whole(batch.number)}`,
    `${whole(batch.first_sequence)} – ${whole(batch.last_sequence)}`,
    whole(batch.entries),
    short(batch.settlement_root),
    short(batch.engine_root),
    short(batch.transaction),
    whole(batch.block),
    whole(batch.gas),
    String(batch.status ?? ABSENT),
  ];
}

function summaryOf(newestFirst) {
  if (newestFirst.length === 0) return "";
  const newest = newestFirst[0];
  const waiting = newestFirst.filter((batch) => batch.status !== "final").length;
  return `on chain to sequence ${whole(newest.last_sequence)} · ${waiting} awaiting finality`;
}

function newRow() {
  const row = document.createElement("tr");
  for (let column = 0; column < COLUMNS; column += 1) row.insertCell();
  for (const column of [2, 6, 7]) row.cells[column].className = "number";
  return row;
}
