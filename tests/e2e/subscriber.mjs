// A subscriber on a WebSocket, and a replica that is built from what a subscriber hears.
import assert from "node:assert/strict";
import jsonPatch from "fast-json-patch";
import WebSocket from "ws";
import { atEnd, eventually, seconds, sleep } from "./processes.mjs";

const open = new Set();
atEnd(() => open.forEach((subscriber) => subscriber.terminate()));

const sameChannel = (message, channel, params) =>
  message.channel === channel && JSON.stringify(message.params) === JSON.stringify(params);

export class Subscriber {
  messages = []; // everything, in the order it came
  #fresh = []; // what no waitFor() has taken yet
  #log;

  // `url` is the daemon's, http://…; `log` gives the end of its log for messages of failed tests.
  constructor(url, { origin, headers, path = "/channels", log = () => "", options = {} } = {}) {
    this.#log = log;
    this.socket = new WebSocket(`${url.replace(/^http/, "ws")}${path}`, { origin, headers, ...options });
    open.add(this);
    this.opened = new Promise((resolve, reject) => {
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => {
        open.delete(this);
        this.close_ = { code, reason: reason.toString() };
        resolve(this.close_);
      });
    });
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false, "the daemon sends text frames only");
      const message = JSON.parse(data);
      this.messages.push(message);
      this.#fresh.push(message);
    });
  }

  send(value) {
    this.socket.send(typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value));
  }

  // Takes the first message of that type (null: any) for which the predicate holds out of those not taken yet.
  async waitFor(type, predicate = () => true, { within = seconds(30) } = {}) {
    const look = () => {
      const place = this.#fresh.findIndex((message) => (type === null || message.type === type) && predicate(message));
      if (place >= 0) return this.#fresh.splice(place, 1);
      if (this.close_) throw new Error(`closed with ${this.close_.code} "${this.close_.reason}" while waiting`);
      return null;
    };
    try {
      return (await eventually(look, { within, what: `a message "${type}" for which ${predicate}`, every: 5 }))[0];
    } catch (error) {
      const heard = this.messages.slice(-12).map((message) => JSON.stringify(message).slice(0, 300));
      throw new Error(`${error.message}\nlast messages:\n${heard.join("\n")}\nthe daemon's log:\n${this.#log()}`);
    }
  }

  // Takes all that came so far.
  forget() {
    this.#fresh.length = 0;
  }

  // Fails when such a message comes within the time, or is there already and was not taken.
  async expectNone(type, ms, predicate = () => true) {
    await sleep(ms);
    const found = this.#fresh.filter((message) => message.type === type && predicate(message));
    assert.deepEqual(found, [], `there should be no such ${type}`);
  }

  async subscribe(channel, params = {}, more = {}) {
    this.send({ action: "subscribe", channel, params, ...more });
    return this.waitFor("subscribed", (message) => message.channel === channel);
  }

  // Waits until the subscriber knows of these items, from the snapshot or as new ones: either may come first. Takes
  // nothing; follow it with forget() where the beginning does not matter.
  async waitForItems(channel, params, ids) {
    const known = () => {
      const heard = this.of(channel, params).flatMap(({ id, items }) => [id, ...(items ?? []).map((item) => item.id)]);
      return ids.every((id) => heard.includes(String(id)));
    };
    await eventually(known, { what: `the items ${ids} of ${channel} ${JSON.stringify(params)}` }).catch((error) => {
      throw new Error(`${error.message}\n${JSON.stringify(this.of(channel, params)).slice(0, 3000)}\n${this.#log()}`);
    });
  }

  // The channel's messages so far, without taking them.
  of(channel, params) {
    return this.messages.filter((message) => sameChannel(message, channel, params));
  }

  async waitForClose(within = seconds(30)) {
    return eventually(() => this.close_, { within, what: "a close of the connection" });
  }

  async close() {
    this.socket.close();
    return this.waitForClose();
  }

  terminate() {
    this.socket.terminate();
  }
}

// Connects and takes the `ready` message.
export async function subscriber(url, options) {
  const made = new Subscriber(url, options);
  await made.opened;
  made.ready = await made.waitFor("ready");
  return made;
}

// For tests alone: clients must not look into a position.
export function readPosition(text) {
  const match = /^([0-9a-f]{16}):([0-9]+)$/.exec(text);
  assert.ok(match, `"${text}" is not a position`);
  return { epoch: match[1], offset: Number(match[2]) };
}

// The state of one channel as a careful client would keep it, over as many connections as it takes. Every broken
// promise on the way is a failure: a hole or a repetition in the offsets, a patch that does not give the item, a new
// item that is known, a removed one that is not.
export class Replica {
  items = new Map();
  events = []; // every event applied
  position = null;
  #applied = new Map(); // subscriber -> how many of its messages

  // `holes`: offsets may be left out, as they are for somebody with a filter.
  constructor(channel, params, { holes = false } = {}) {
    this.channel = channel;
    this.params = params;
    this.holes = holes;
  }

  // Applies what this subscriber heard since the last time.
  follow(from) {
    const begin = this.#applied.get(from) ?? 0;
    const heard = from.messages.slice(begin);
    this.#applied.set(from, begin + heard.length);
    for (const message of heard) if (sameChannel(message, this.channel, this.params)) this.apply(message);
    return this;
  }

  apply(message) {
    const told = JSON.stringify(message).slice(0, 400);
    if (message.type === "snapshot") {
      this.items = new Map(message.items.map(({ id, item }) => [id, item]));
      assert.equal(this.items.size, message.items.length, `an id is twice in ${told}`);
      this.position = message.position;
      return;
    }
    if (message.type === "subscribed") {
      if (message.resumed) assert.ok(this.position, `resumed, but this replica never had a position: ${told}`);
      this.position ??= message.position;
      return;
    }
    if (!["new_item", "updated_item", "removed_item"].includes(message.type)) return;

    const before = readPosition(this.position);
    const now = readPosition(message.position);
    assert.equal(now.epoch, before.epoch, `another epoch without a snapshot: ${told}`);
    const follows = this.holes ? now.offset > before.offset : now.offset === before.offset + 1;
    assert.ok(follows, `after ${this.position} came ${told}`);
    if (message.type === "new_item") {
      assert.ok(!this.items.has(message.id), `new, but known: ${told}`);
      this.items.set(message.id, message.item);
    } else {
      assert.ok(this.items.has(message.id), `not known: ${told}`);
      if (message.type === "removed_item") this.items.delete(message.id);
      else this.items.set(message.id, updated(this.items.get(message.id), message, told));
    }
    this.events.push(message);
    this.position = message.position;
  }

  list() {
    return [...this.items.values()];
  }
}

// The item after an updated_item: by its patch, by its item, and both must agree.
function updated(old, message, told) {
  if (message.patch === undefined) return message.item;
  const patched = jsonPatch.applyPatch(structuredClone(old), message.patch, true).newDocument;
  if (message.item !== undefined) assert.deepEqual(patched, message.item, `the patch does not give the item: ${told}`);
  assert.notDeepEqual(patched, old, `an update that changes nothing: ${told}`);
  return patched;
}
