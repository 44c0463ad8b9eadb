/** The price chart. The library is optional: without it the page is the ladder alone. */

import { decimalsOf, inStepsOf } from "./format.js";
import { put } from "./frame.js";

const BUY = "#2ec08f";
const SELL = "#f0616d";
const QUIET = "#8492a4";
const LINE = "#151c25";
const VOLUME_OPACITY = "4d";
const DASHED = 2;

/** The charting library, or null when the gateway does not have it. */
export async function loadLibrary() {
  try {
    return await import("../vendor/lightweight-charts.mjs");
  } catch {
    return null;
  }
}

export function sayAbsent() {
  document.querySelector("main").classList.add("chartless");
  document.getElementById("chart-panel").hidden = true;
  const notice = document.getElementById("chart-notice");
  put(notice, "No price chart: the charting library is not installed (npm ci). Everything else works without it.");
  notice.hidden = false;
}

export class Chart {
  #markLine = null;
  #reset = true;

  constructor(library) {
    this.legend = document.getElementById("candle");
    this.chart = library.createChart(document.getElementById("chart"), options(library));
    this.series = this.chart.addSeries(library.CandlestickSeries, {
      upColor: BUY, downColor: SELL, wickUpColor: BUY, wickDownColor: SELL, borderVisible: false,
      priceLineStyle: 1,
    });
    this.volume = this.chart.addSeries(library.HistogramSeries, {
      priceScaleId: "", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.series.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
    this.chart.subscribeCrosshairMove((move) => this.#describe(move.seriesData.get(this.series)));
    this.market = null;
    this.seconds = 1;
  }

  show(market) {
    this.market = market;
    const { tick_size: tick, price_unit: unit } = market.instrument;
    this.price = inStepsOf(tick);
    this.chart.applyOptions({ localization: { priceFormatter: inStepsOf(Number(unit)) } }); // the mark's line is there
    this.series.applyOptions({ priceFormat: { type: "price", precision: decimalsOf(tick), minMove: tick } });
    this.clear();
  }

  /** Draw everything again, for a new candle length or new candles. */
  clear() {
    this.#reset = true;
  }

  draw() {
    const candles = this.market.candles.get(this.seconds);
    const changed = candles.changed();
    if (this.#reset) {
      this.series.setData(candles.list);
      this.volume.setData(candles.list.map(bar));
      this.chart.timeScale().scrollToRealTime();
      this.#reset = false;
    } else {
      for (const candle of changed) {
        this.series.update(candle);
        this.volume.update(bar(candle));
      }
    }
    this.#drawMark(this.market.ticker?.mark_price);
  }

  #drawMark(price) {
    if (typeof price !== "number") return;
    if (this.#markLine === null) {
      this.#markLine = this.series.createPriceLine({
        price, title: "mark", color: "#55b7e8", lineWidth: 1, lineStyle: DASHED, axisLabelVisible: true,
      });
    } else {
      this.#markLine.applyOptions({ price });
    }
  }

  #describe(candle) {
    if (candle === undefined) put(this.legend, "");
    else put(this.legend, ["open", "high", "low", "close"].map((name) => `${name} ${this.price(candle[name])}`).join(" · "));
  }
}

function bar({ time, open, close, volume }) {
  return { time, value: volume, color: (close >= open ? BUY : SELL) + VOLUME_OPACITY };
}

function options(library) {
  return {
    autoSize: true,
    layout: {
      attributionLogo: true,
      background: { type: library.ColorType.Solid, color: "#0e1319" },
      textColor: QUIET,
      fontSize: 11,
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { color: LINE }, horzLines: { color: LINE } },
    crosshair: { mode: library.CrosshairMode.Normal },
    rightPriceScale: { borderColor: LINE },
    timeScale: { borderColor: LINE, timeVisible: true, secondsVisible: true, rightOffset: 5, barSpacing: 8 },
    localization: { locale: "en-GB" },
  };
}
