/** One instrument as the page follows it: its book, trades, candles and ticker. */

import { Book } from "./book.js";
import { Candles } from "./candles.js";
import { Refused } from "./connection.js";
import { redraw } from "./frame.js";
import { Trades } from "./trades.js";

const SEED_TRADES = 1_000;
const RESUBSCRIBE_PAUSE_MS = 1_000;

export class Market {
  /** `views` are {ladder, tape, header, chart?}; the chart may come later. */
  constructor(connection, instrument, views) {
    this.connection = connection;
    this.instrument = instrument;
    this.views = views;
    this.book = new Book();
    this.candles = new Map([1, 5].map((seconds) => [seconds, new Candles(seconds)]));
    this.trades = new Trades((trade) => this.candles.forEach((candles) => candles.add(trade)));
    this.ticker = null;
    this.resubscriptions = 0;
    this.resubscribedAt = -Infinity;
    this.closed = false;
    const name = instrument.instrument_name;
    this.bookChannel = `book.${name}.100ms`;
    this.listeners = {
      [this.bookChannel]: (message) => this.#hearBook(message),
      [`trades.${name}.100ms`]: (trades) => this.#hearTrades(trades),
      [`ticker.${name}.100ms`]: (ticker) => this.#hearTicker(ticker),
    };
  }

  get lastTrade() {
    return this.trades.last;
  }

  async open() {
    await this.connection.subscribe(this.listeners);
    await this.refresh();
  }

  async close() {
    this.closed = true;
    await this.connection.unsubscribe(Object.keys(this.listeners));
  }

  /** The connection went: what is shown is old until the next snapshot. */
  lose() {
    this.book.changeId = null;
    this.trades.await();
    redraw(this.views.ladder);
  }

  /** Ask for what the channels do not repeat: the last trades and the ticker. */
  async refresh() {
    await Promise.all([this.#seedTrades(), this.#seedTicker()]);
  }

  async #seedTrades() {
    const { trades } = await this.#ask("public/get_last_trades_by_instrument", { count: SEED_TRADES }).catch((error) => {
      if (error instanceof Refused) return { trades: this.trades.recent }; // then the channel alone must do
      throw error;
    });
    if (this.closed) return;
    if (this.trades.seed(trades)) this.#restart();
    this.#drawTrades();
  }

  async #seedTicker() {
    const ticker = await this.#ask("public/ticker");
    if (!this.closed) this.#hearTicker(ticker);
  }

  #ask(method, parameters = {}) {
    return this.connection.call(method, { instrument_name: this.instrument.instrument_name, ...parameters });
  }

  #hearBook(message) {
    if (!this.book.apply(message)) this.#resubscribe();
    redraw(this.views.ladder);
  }

  #hearTrades(trades) {
    this.trades.add(trades);
    this.#drawTrades();
  }

  #hearTicker(ticker) {
    this.ticker = ticker;
    redraw(this.views.header);
    if (this.views.chart) redraw(this.views.chart);
  }

  #drawTrades() {
    redraw(this.views.tape);
    redraw(this.views.ladder);
    if (this.views.chart) redraw(this.views.chart);
  }

  /** The venue began again at its first trade: candles of the old ones mean nothing. */
  #restart() {
    for (const candles of this.candles.values()) {
      candles.clear();
      this.trades.recent.forEach((trade) => candles.add(trade));
    }
    this.views.tape.clear();
    this.views.chart?.clear();
  }

  async #resubscribe() {
    this.resubscriptions += 1;
    const early = this.resubscribedAt + RESUBSCRIBE_PAUSE_MS - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    if (this.closed) return;
    this.resubscribedAt = performance.now();
    await this.connection.resubscribe(this.bookChannel).catch(() => {}); // a lost connection resubscribes by itself
  }
}
