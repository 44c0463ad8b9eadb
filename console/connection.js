/** JSON-RPC 2.0 over one WebSocket that reconnects and keeps its subscriptions. */

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8_000;
const CALL_TIMEOUT_MS = 10_000;

export class Refused extends Error {
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.reason = data?.reason ?? null;
  }
}

export class Connection {
  #socket = null;
  #failures = 0;
  #lastId = 0;
  #calls = new Map();
  #channels = new Map();

  /** `onState` hears "connecting", "live" and "lost"; `onOpen` runs after each opening. */
  constructor(url, { onState, onOpen }) {
    this.url = url;
    this.onState = onState;
    this.onOpen = onOpen;
  }

  open() {
    this.onState("connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    socket.onclose = () => this.#lost(socket);
  }

  get live() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** The result of one method; rejects with `Refused`, or with `Error` when the connection goes. */
  call(method, params = {}) {
    if (!this.live) return Promise.reject(new Error("not connected"));
    const id = ++this.#lastId;
    const socket = this.#socket;
    socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#lost(socket), CALL_TIMEOUT_MS);
      this.#calls.set(id, { resolve, reject, timer });
    });
  }

  /** Send what each channel says to its listener, now and after every reconnection. */
  async subscribe(listeners) {
    for (const [channel, listener] of Object.entries(listeners)) this.#channels.set(channel, listener);
    if (this.live) await this.call("public/subscribe", { channels: Object.keys(listeners) });
  }

  async unsubscribe(channels) {
    for (const channel of channels) this.#channels.delete(channel);
    if (this.live) await this.call("public/unsubscribe", { channels });
  }

  /** Leave one channel and join it again, which makes the venue send a fresh snapshot. */
  async resubscribe(channel) {
    await this.call("public/unsubscribe", { channels: [channel] });
    if (this.#channels.has(channel)) await this.call("public/subscribe", { channels: [channel] });
  }

  #opened() {
    this.onState("live");
    const channels = [...this.#channels.keys()];
    if (channels.length > 0) this.call("public/subscribe", { channels }).catch(() => this.#lost(this.#socket));
    this.onOpen();
  }

  #received(message) {
    this.#failures = 0;
    if (message.method === "subscription") {
      this.#channels.get(message.params.channel)?.(message.params.data);
      return;
    }
    const call = this.#calls.get(message.id);
    if (call === undefined) return;
    this.#calls.delete(message.id);
    clearTimeout(call.timer);
    if (message.error) call.reject(new Refused(message.error));
    else call.resolve(message.result);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(new Error("connection lost"));
    }
    this.#calls.clear();
    this.onState("lost");
    setTimeout(() => this.open(), this.#delay());
  }

  #delay() {
    const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
    return longest * (0.5 + Math.random() / 2);
  }
}
