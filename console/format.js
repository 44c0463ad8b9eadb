/** Numbers, times and hashes as text. What is absent is a dash. */

export const ABSENT = "–";

const formats = new Map();

function fixed(decimals) {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en-US", digits));
  }
  return formats.get(decimals);
}

const FEW = 10;
const MILLION = 1e6;
const millions = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 4 });
const thousands = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** How many decimals a step such as 0.5, 0.0005 or 1e-7 needs. */
export function decimalsOf(step) {
  if (!isNumber(step) || step <= 0) return 2;
  const [digits, exponent = "0"] = String(step).split("e");
  const fraction = digits.split(".")[1]?.length ?? 0;
  return Math.max(0, fraction - Number(exponent));
}

/** A function that writes numbers with the decimals of `step`. */
export function inStepsOf(step) {
  const format = fixed(decimalsOf(step));
  return (value) => (isNumber(value) ? format.format(value) : ABSENT);
}

export function whole(value) {
  return isNumber(value) ? fixed(0).format(value) : ABSENT;
}

/** At most one decimal, and millions shortened: 5,183.4 or 12.35M; below 10 the decimals that `step` has: 0.018. */
export function compact(value, step) {
  if (!isNumber(value)) return ABSENT;
  if (value !== 0 && Math.abs(value) < FEW) return inStepsOf(step)(value);
  return (Math.abs(value) < MILLION ? thousands : millions).format(value);
}

/** A number already in per cent, with its sign. */
export function percent(value, decimals = 2) {
  if (!isNumber(value)) return ABSENT;
  const text = fixed(decimals).format(Math.abs(value));
  const sign = Number(text) === 0 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} %`;
}

function isoOf(milliseconds) {
  const date = new Date(isNumber(milliseconds) ? milliseconds : NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

export function timeOfDay(milliseconds) {
  return isoOf(milliseconds)?.slice(11, 19) ?? ABSENT;
}

export function dateAndTime(milliseconds) {
  return isoOf(milliseconds)?.slice(0, 19).replace("T", " ") ?? ABSENT;
}

const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "2-digit", timeZone: "UTC" });

/** `25 Nov 26`, the UTC day. */
export function date(milliseconds) {
  return isoOf(milliseconds) === null ? ABSENT : dates.format(milliseconds);
}

/** `3 d 4 h 12 m`, `4 h 12 m`, or `12 m 5 s` in the last hour; begun seconds count as whole ones. */
export function duration(milliseconds) {
  if (!isNumber(milliseconds)) return ABSENT;
  const seconds = Math.ceil(Math.max(0, milliseconds) / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} m ${seconds % 60} s`;
  if (hours < 24) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h ${minutes % 60} m`;
}

/** `0x1f2e3d…9a8b` for a hash. */
export function short(hash) {
  if (typeof hash !== "string" || hash === "") return ABSENT;
  const text = hash.startsWith("0x") ? hash : `0x${hash}`;
  return text.length <= 14 ? text : `${text.slice(0, 8)}…${text.slice(-4)}`;
}
