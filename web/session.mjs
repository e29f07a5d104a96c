// The page's subscriptions on its one connection: asks for them, asks again after every reconnection, and hands each
// message to the feed that it is about.
import { channelId } from "./channels.mjs";
import { Connection } from "./connection.mjs";
import { Feed } from "./feed.mjs";
import { parseJson } from "./json.mjs";

const OWN_CHANNEL = "restream-status";

export class Session {
  #asked = []; // requests not answered yet; the server answers in order
  #connected = false; // `ready` was received on this connection

  feeds = new Map(); // by channel id
  server = ""; // what it calls itself

  // linkChanged(), feedsChanged(): others than before; feedChanged(feed); token(): see Connection.
  constructor(url, { linkChanged, feedsChanged, feedChanged, token }) {
    this.on = { linkChanged, feedsChanged, feedChanged };
    // What the page itself follows: not among those that it shows, unless somebody asks for it.
    this.own = new Feed(OWN_CHANNEL, {});
    this.own.hidden = true;
    this.feeds.set(this.own.id, this.own);
    this.connection = new Connection(url, {
      message: (text) => this.#receive(parseJson(text)),
      changed: () => this.#linkChanged(),
      token,
    });
  }

  get connected() {
    return this.#connected;
  }

  get shown() {
    return [...this.feeds.values()].filter(({ hidden }) => !hidden);
  }

  #show(feed) {
    feed.hidden = false;
    this.on.feedsChanged();
  }

  // Asks for a channel. Gives its feed, or throws the server's {code, message}.
  subscribe(channel, params) {
    if (!this.#connected)
      return Promise.reject({ code: "not_connected", message: "There is no connection to the server now; try again when there is." });
    return new Promise((resolve, reject) => this.#ask({ action: "subscribe", channel, params }, { resolve, reject }));
  }

  // Wants a channel without an answer: asked for now or as soon as there is a connection.
  want(channel, params) {
    const feed = new Feed(channel, params);
    const present = this.feeds.get(feed.id);
    if (present) return present.hidden && this.#show(present);
    this.feeds.set(feed.id, feed);
    if (this.#connected) this.#askFor(feed);
    this.on.feedsChanged();
  }

  unsubscribe(feed) {
    if (feed === this.own) {
      feed.hidden = true;
      return this.on.feedsChanged();
    }
    this.feeds.delete(feed.id);
    if (this.#connected && !feed.problem)
      this.#ask({ action: "unsubscribe", channel: feed.channel, params: feed.params }, {});
    this.on.feedsChanged();
  }

  #ask(request, answer) {
    this.#asked.push(answer);
    this.connection.send(request);
  }

  #askFor(feed) {
    const since = feed.position === null ? {} : { since: feed.position };
    this.#ask({ action: "subscribe", channel: feed.channel, params: feed.params, ...since }, { feed });
  }

  #linkChanged() {
    if (this.connection.state !== "open") {
      this.#connected = false;
      const lost = this.#asked;
      this.#asked = [];
      for (const { reject } of lost)
        reject?.({ code: "not_connected", message: "The connection was lost before the server answered; try again." });
    }
    this.on.linkChanged();
  }

  #receive(message) {
    const now = Date.now();
    switch (message.type) {
      case "ready":
        this.server = message.server;
        this.#connected = true;
        for (const feed of this.feeds.values()) this.#askFor(feed);
        return this.on.linkChanged();
      case "subscribed":
        return this.#subscribed(message, this.#asked.shift(), now);
      case "unsubscribed":
        this.#asked.shift();
        return;
      case "error":
        return this.#refused(message, now);
    }
    const feed = message.channel === undefined ? undefined : this.feeds.get(channelId(message.channel, message.params));
    if (!feed) return; // its end was asked for, or it is a message of a later protocol
    feed.apply(message, now);
    this.on.feedChanged(feed);
  }

  // What was asked for may turn out to be a channel that is there already: its canonical params say so.
  #subscribed(message, { feed, resolve }, now) {
    if (feed && this.feeds.get(feed.id) !== feed) return; // given up in the meantime
    const id = channelId(message.channel, message.params);
    const present = this.feeds.get(id);
    if (present && present !== feed) {
      if (feed) this.feeds.delete(feed.id);
      this.#show(present);
      return resolve?.(present);
    }
    const begun = feed ?? new Feed(message.channel, message.params);
    if (feed && feed.id !== id) this.#rename(feed, id);
    else this.feeds.set(id, begun);
    begun.begin(message, now);
    this.on.feedsChanged();
    this.on.feedChanged(begun);
    resolve?.(begun);
  }

  // Keeps its place among the others.
  #rename(feed, id) {
    this.feeds = new Map([...this.feeds].map(([old, one]) => [one === feed ? id : old, one]));
  }

  #refused({ code, message, request }, now) {
    // An error that answers no request of ours is about a channel that goes on by itself.
    const isRemark = code === "unavailable" && request?.channel !== undefined && request.action === undefined;
    const feed = isRemark ? this.feeds.get(channelId(request.channel, request.params ?? {})) : undefined;
    if (isRemark) feed?.remark(message, now);
    const answer = isRemark ? { feed } : (this.#asked.shift() ?? {});
    if (!isRemark) answer.feed?.refuse(message, now);
    answer.reject?.({ code, message });
    if (answer.feed) this.on.feedChanged(answer.feed);
  }
}
