// A WebSocket that comes back by itself. It knows nothing of channels.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const STEADY_AFTER = 5000; // a connection that lasted this long begins with the first wait again

// With jitter, so that a thousand pages do not come back at the same moment.
export const waitBefore = (attempt, random = Math.random()) =>
  Math.min(FIRST_WAIT * 2 ** attempt, LONGEST_WAIT) * (0.5 + random / 2);

export class Connection {
  #socket = null;
  #attempt = 0;
  #timer = null;
  #opened = 0;
  #stopped = false;

  // state: "connecting", "open", "waiting" (then `again` is the time of the next attempt) or "stopped".
  state = "stopped";
  again = 0;

  // message(text); changed(): state is another; token(): what the server wants, or null.
  constructor(url, { message, changed, token }) {
    this.url = url;
    this.on = { message, changed, token };
  }

  start() {
    clearTimeout(this.#timer);
    if (this.#socket) return;
    const token = this.on.token();
    // A browser cannot send a header here, so the token goes as a subprotocol; the server picks the other one.
    const socket = token ? new WebSocket(this.url, ["restream", `bearer.${token}`]) : new WebSocket(this.url);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#opened = Date.now();
      this.#become("open");
    });
    socket.addEventListener("message", ({ data }) => this.on.message(data));
    socket.addEventListener("close", () => {
      this.#socket = null;
      if (this.#opened && Date.now() - this.#opened > STEADY_AFTER) this.#attempt = 0;
      this.#opened = 0;
      if (this.#stopped) return this.#become("stopped");
      const wait = waitBefore(this.#attempt++);
      this.again = Date.now() + wait;
      this.#timer = setTimeout(() => this.start(), wait);
      this.#become("waiting");
    });
    this.#become("connecting");
  }

  // At once, whatever wait there was.
  hurry() {
    this.#stopped = false;
    if (this.state === "waiting" || this.state === "stopped") {
      this.#attempt = 0;
      this.start();
    }
  }

  // No more attempts until hurry().
  pause() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (!this.#socket) this.#become("stopped");
  }

  send(value) {
    this.#socket.send(JSON.stringify(value));
  }

  #become(state) {
    this.state = state;
    this.on.changed();
  }
}
