/** The instrument picker: a native list, grouped by coin, kind and expiry, remembered in the address. */

import { date } from "./format.js";

const PERPETUAL = "perpetual";
const OPTION = "option";

export class Picker {
  /** `onPick(instrument)` hears what is picked; `find(name)` gives an instrument that is not listed, or null. */
  constructor({ onPick, find }) {
    this.select = document.getElementById("instrument");
    this.notice = document.getElementById("unknown");
    this.instruments = new Map();
    this.first = null; // the name of the one shown when nothing else is asked for
    this.picked = null;
    this.onPick = onPick;
    this.find = find;
    this.select.addEventListener("change", () => this.#pick(this.select.value));
  }

  /** Offer these, and pick the one in the address, or the first perpetual. */
  async offer(instruments) {
    this.#list(instruments);
    if (nameInAddress() === "") this.#pick(this.first);
    else await this.readAddress();
  }

  /** Pick what the address names, listed or ended; of a name that nothing has, say so and pick the first perpetual. */
  async readAddress() {
    const name = nameInAddress();
    if (name === "") return;
    if (!this.instruments.has(name)) {
      const found = await this.find(name);
      if (nameInAddress() !== name) return; // meanwhile somebody picked another
      if (found === null) {
        this.#pick(this.first);
        this.notice.textContent = `No instrument is called ${name}. This is ${this.picked}.`;
        this.notice.hidden = false;
        return;
      }
      this.#list([...this.instruments.values(), found]);
    }
    this.#pick(name);
  }

  /** Offer what was listed meanwhile, and no more what has ended, except the one that is picked. */
  renew(instruments) {
    const picked = this.instruments.get(this.picked);
    const isKept = instruments.some((instrument) => instrument.instrument_name === picked?.instrument_name);
    const wanted = isKept || picked === undefined ? instruments : [...instruments, picked];
    const isSame =
      wanted.length === this.instruments.size &&
      wanted.every((instrument) => this.instruments.has(instrument.instrument_name));
    if (isSame) return;
    this.#list(wanted);
    this.select.value = this.picked ?? "";
  }

  #list(instruments) {
    this.instruments = new Map(instruments.map((instrument) => [instrument.instrument_name, instrument]));
    this.first = (instruments.find(isPerpetual) ?? instruments[0])?.instrument_name;
    this.select.replaceChildren(...groupsOf(instruments));
  }

  #pick(name) {
    const instrument = this.instruments.get(name);
    if (instrument === undefined) return;
    this.select.value = name;
    if (name !== this.picked) this.notice.hidden = true;
    this.picked = name;
    if (nameInAddress() !== name) history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    document.title = `${name} · Penstock`;
    this.onPick(instrument);
  }
}

function nameInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

function isPerpetual(instrument) {
  return instrument.settlement_period === PERPETUAL;
}

/** Perpetuals first, then coin by coin in the venue's order, futures before options, the soonest expiry first. */
function groupsOf(instruments) {
  const coins = [...new Set(instruments.map((instrument) => instrument.base_currency))];
  const places = new Map(instruments.map((instrument) => [instrument, placeOf(instrument, coins)]));
  const inOrder = instruments.toSorted((a, b) => compare(places.get(a), places.get(b)));
  const groups = new Map();
  for (const instrument of inOrder) {
    const label = labelOf(instrument);
    if (!groups.has(label)) {
      const group = document.createElement("optgroup");
      group.label = label;
      groups.set(label, group);
    }
    const option = document.createElement("option");
    option.value = instrument.instrument_name;
    option.textContent = instrument.instrument_name;
    groups.get(label).append(option);
  }
  return groups.values();
}

function placeOf(instrument, coins) {
  return [
    isPerpetual(instrument) ? 0 : 1,
    coins.indexOf(instrument.base_currency),
    instrument.kind === OPTION ? 1 : 0,
    instrument.expiration_timestamp,
    instrument.strike ?? 0,
    instrument.option_type === "put" ? 1 : 0,
  ];
}

function compare(one, other) {
  const at = one.findIndex((value, index) => value !== other[index]);
  return at < 0 ? 0 : one[at] - other[at];
}

function labelOf(instrument) {
  if (isPerpetual(instrument)) return `${instrument.base_currency} perpetuals`;
  if (instrument.kind !== OPTION) return `${instrument.base_currency} ${instrument.kind}s`;
  return `${instrument.base_currency} options, ${date(instrument.expiration_timestamp)}`;
}
