/** The page: one connection, one instrument at a time, and the batches. */

import { Batches } from "./batches.js";
import { Chart, loadLibrary, sayAbsent } from "./chart.js";
import { Connection, Refused } from "./connection.js";
import { redraw } from "./frame.js";
import { Header, showStatus } from "./header.js";
import { Picker } from "./instruments.js";
import { Ladder } from "./ladder.js";
import { Market } from "./market.js";
import { Readiness } from "./readiness.js";
import { Tape } from "./tape.js";

const CLOCK_MS = 1_000;
const LISTING_MS = 5_000;
const BATCHES = 40;
const NAMELESS = [13_020, -32_602]; // what the venue answers to a name that nothing has, or can have

const readiness = new Readiness();
const batches = new Batches(() => readiness.drawn("batches"));
const views = {
  ladder: new Ladder(() => readiness.drawn("book")),
  tape: new Tape(() => readiness.drawn("trade")),
  header: new Header(),
  chart: null,
};
const connection = new Connection(socketAddress(), { onState: heardState, onOpen: opened });
const picker = new Picker({ onPick: follow, find });
let market = null;

function socketAddress() {
  const address = new URL("ws/api/v2", document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  return address;
}

function heardState(state) {
  views.header.state = state;
  redraw(views.header);
  if (state === "lost") market?.lose();
}

/** Each part asks for its own beginning, so that one refusal does not silence the others. */
function opened() {
  attempt(async () => showStatus(await connection.call("public/status")));
  attempt(async () => picker.offer(await instruments()));
  attempt(seedBatches);
  attempt(readClock);
}

function instruments() {
  return connection.call("public/get_instruments", { currency: "any" });
}

/** Any instrument by its name, ended ones included; null where there is none. */
async function find(name) {
  try {
    return await connection.call("public/get_instrument", { instrument_name: name });
  } catch (error) {
    if (error instanceof Refused && NAMELESS.includes(error.code)) return null;
    throw error;
  }
}

/** Report what the venue refused; a lost connection is already shown and begins again by itself. */
async function attempt(step) {
  try {
    await step();
  } catch (error) {
    if (connection.live) console.warn(error.message);
  }
}

async function seedBatches() {
  batches.seed(await connection.call("penstock/get_batches", { count: BATCHES }));
  redraw(batches);
}

async function readClock() {
  const asked = performance.now();
  views.header.time = await connection.call("public/get_time");
  views.header.delay = Math.round(performance.now() - asked);
  redraw(views.header);
}

function follow(instrument) {
  if (market?.instrument.instrument_name === instrument.instrument_name) {
    attempt(() => market.refresh());
    return;
  }
  const previous = market;
  if (previous !== null) attempt(() => previous.close());
  market = new Market(connection, instrument, views);
  for (const view of Object.values(views)) view?.show(market);
  for (const view of Object.values(views)) if (view) redraw(view);
  attempt(() => market.open());
}

async function prepareChart() {
  const library = await loadLibrary();
  if (library === null) {
    sayAbsent();
    return;
  }
  views.chart = new Chart(library);
  if (market === null) return;
  views.chart.show(market);
  redraw(views.chart);
}

function chooseCandles(chosen) {
  const buttons = document.querySelectorAll(".choices button");
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
  if (views.chart === null) return;
  views.chart.seconds = Number(chosen.dataset.seconds);
  views.chart.clear();
  if (market !== null) redraw(views.chart);
}

for (const button of document.querySelectorAll(".choices button")) {
  button.addEventListener("click", () => chooseCandles(button));
}
connection.subscribe({
  "penstock.batches": (batch) => {
    batches.add(batch);
    redraw(batches);
  },
});
window.addEventListener("hashchange", () => attempt(() => picker.readAddress()));
readiness.begin();
connection.open();
prepareChart();
setInterval(() => {
  if (connection.live) attempt(readClock);
}, CLOCK_MS);
setInterval(() => {
  if (connection.live) attempt(async () => picker.renew(await instruments()));
}, LISTING_MS);
