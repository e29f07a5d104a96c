// The ways to listen: a WebSocket, an EventSource, and an event stream read by hand. Each has messages handed to it by
// the daemon until it breaks or is closed; `done` says that it is over.
import { EventSource, WebSocket } from "../e2e/npm.mjs";

const TYPES = ["subscribed", "snapshot", "new_item", "updated_item", "removed_item", "status", "error"];

export class SocketReader {
  constructor(url, { onOpen, onMessage, compressed }) {
    const options = { handshakeTimeout: 5000, perMessageDeflate: compressed };
    this.socket = new WebSocket(`${url.replace(/^http/, "ws")}/channels`, options);
    this.done = new Promise((resolve) => {
      this.socket.on("close", resolve);
      this.socket.on("error", () => {});
    });
    this.socket.on("message", (data) => {
      if (this.over) return;
      const message = JSON.parse(data);
      if (message.type !== "ready") return onMessage(message);
      this.ready = true;
      onOpen(this.socket.extensions.includes("permessage-deflate"));
    });
  }
  send(value) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(value));
  }
  pause() {
    this.socket.pause();
  }
  resume() {
    this.socket.resume();
  }
  close(rudely) {
    this.over = true;
    if (rudely) this.socket.terminate();
    else this.socket.close();
    setTimeout(() => this.socket.terminate(), 2000).unref();
  }
}

// It reconnects by itself, with the id of the last event. `mayReconnect` is asked before.
export class SourceReader {
  constructor(url, { onMessage, mayReconnect }) {
    this.source = new EventSource(url);
    this.done = new Promise((resolve) => (this.finish = resolve));
    for (const type of TYPES) {
      this.source.addEventListener(type, (event) => {
        if (this.over) return;
        if (event.data !== undefined) return onMessage(JSON.parse(event.data), event.lastEventId);
        if (this.source.readyState === EventSource.CLOSED || !mayReconnect()) this.close();
      });
    }
  }
  pause() {}
  resume() {}
  close() {
    this.over = true;
    this.source.close();
    this.finish();
  }
}

// Knows that an `id` without data makes it forget.
export class StreamReader {
  constructor(url, { onMessage, lastEventId }) {
    this.abort = new AbortController();
    this.onMessage = onMessage;
    this.lastEventId = lastEventId ?? "";
    const headers = { accept: "text/event-stream" };
    if (lastEventId) headers["last-event-id"] = lastEventId;
    this.done = this.#read(url, headers).catch(() => {});
  }
  async #read(url, headers) {
    const answer = await fetch(url, { headers, signal: this.abort.signal });
    if (answer.status !== 200) return;
    let rest = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      while (this.paused) await this.paused;
      rest += chunk;
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) if (!this.over) this.#block(block);
    }
  }
  #block(block) {
    const data = [];
    for (const line of block.split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "id") this.lastEventId = value;
      if (field === "data") data.push(value);
    }
    if (data.length > 0) this.onMessage(JSON.parse(data.join("\n")), this.lastEventId);
  }
  pause() {
    this.paused = new Promise((resolve) => (this.go = resolve));
  }
  resume() {
    this.paused = null;
    this.go?.();
  }
  close() {
    this.over = true;
    this.resume();
    this.abort.abort();
  }
}
