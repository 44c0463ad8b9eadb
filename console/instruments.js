/** The instrument picker: a native list, grouped by coin and kind, remembered in the address. */

const PERPETUAL = "perpetual";

export class Picker {
  constructor(onPick) {
    this.select = document.getElementById("instrument");
    this.instruments = new Map();
    this.onPick = onPick;
    this.select.addEventListener("change", () => this.#pick(this.select.value));
    window.addEventListener("hashchange", () => this.#pick(nameInAddress()));
  }

  /** Offer these, and pick the one in the address, the one before, or the first perpetual. */
  offer(instruments) {
    const before = this.select.value;
    this.#list(instruments);
    const first = instruments.find((instrument) => instrument.settlement_period === PERPETUAL) ?? instruments[0];
    const wanted = [nameInAddress(), before, first?.instrument_name];
    this.#pick(wanted.find((name) => this.instruments.has(name)));
  }

  /** Offer what was listed meanwhile, and no more what has ended, except the one that is picked. */
  renew(instruments) {
    const picked = this.instruments.get(this.select.value);
    const isKept = instruments.some((instrument) => instrument.instrument_name === picked?.instrument_name);
    const wanted = isKept || picked === undefined ? instruments : [...instruments, picked];
    const isSame =
      wanted.length === this.instruments.size &&
      wanted.every((instrument) => this.instruments.has(instrument.instrument_name));
    if (isSame) return;
    this.#list(wanted);
    this.select.value = picked?.instrument_name ?? "";
  }

  #list(instruments) {
    this.instruments = new Map(instruments.map((instrument) => [instrument.instrument_name, instrument]));
    this.select.replaceChildren(...groupsOf(instruments));
  }

  #pick(name) {
    const instrument = this.instruments.get(name);
    if (instrument === undefined) return;
    this.select.value = name;
    if (nameInAddress() !== name) history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    document.title = `${name} · Penstock`;
    this.onPick(instrument);
  }
}

function nameInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function groupsOf(instruments) {
  const groups = new Map();
  for (const instrument of instruments) {
    const kind = instrument.settlement_period === PERPETUAL ? PERPETUAL : instrument.kind;
    const label = `${instrument.base_currency} ${kind}`;
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
