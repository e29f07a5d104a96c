// What a client makes of a channel from what it hears, and the books in which all clients' hearsay is compared.
import { createHash } from "node:crypto";
import { jsonPatch } from "../e2e/npm.mjs";

// One text for equal values, whatever the order of members.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

const digest = (text) => createHash("sha1").update(text).digest().readUIntBE(0, 6);
const itemDigest = (id, item) => digest(`${id}\n${canonical(item)}`);
const MODULUS = 2 ** 48;

// For tests alone: clients must not look into a position.
function readPosition(text) {
  const match = /^([0-9a-f]{16}):([0-9]+)$/.exec(text);
  return match ? { epoch: match[1], offset: Number(match[2]) } : null;
}

// What anybody ever heard of each channel. An event that somebody has seen is on disk: so whoever hears of the same
// offset, over whatever kills, hears the same. In the end the whole log is replayed, and every snapshot that anybody
// was sent must be what the events up to its position make.
export class Ledger {
  #channels = new Map();
  faults = [];
  counts = {
    connections: {},
    resumed: 0,
    snapshots: 0,
    refused: 0,
    events: 0,
    gaps: 0,
    duplicates: 0,
    partial: 0, // of the events: told to those who conflate, or have a filter
    compressed: 0, // connections
  };
  #states = [];

  fault(kind, text) {
    if (kind in this.counts) ++this.counts[kind];
    if (this.faults.length >= 50) return;
    this.faults.push(`${new Date().toISOString()} ${kind}: ${text}`);
    console.log(this.faults.at(-1)); // now: a campaign takes long
  }

  #channel(name) {
    if (!this.#channels.has(name)) this.#channels.set(name, { epoch: null, events: new Map(), snapshots: new Map() });
    return this.#channels.get(name);
  }

  epoch(name, epoch) {
    const channel = this.#channel(name);
    channel.epoch ??= epoch;
    if (channel.epoch !== epoch) this.fault("epoch", `${name} had ${channel.epoch} and now has ${epoch}`);
  }

  event(name, offset, { type, id, time }, item) {
    const sum = type === "removed_item" ? 0 : itemDigest(id, item);
    const told = { type, id, time, sum };
    const { events } = this.#channel(name);
    const known = events.get(offset);
    if (!known) return void events.set(offset, told);
    if (known.type !== type || known.id !== id || known.time !== time || known.sum !== sum) {
      this.fault("rewritten", `${name}:${offset} was ${JSON.stringify(known)} and is ${JSON.stringify(told)}`);
    }
  }

  // As event(), from one who is not told each event, nor of each what it was.
  state(name, offset, { type, id }, item) {
    ++this.counts.partial;
    if (type !== "removed_item") this.#states.push({ name, offset, id, sum: itemDigest(id, item) });
  }

  snapshot(name, offset, items) {
    let sum = 0;
    for (const [id, item] of items) sum = (sum + itemDigest(id, item)) % MODULUS;
    const told = `${items.size} items, sum ${sum}`;
    const { snapshots } = this.#channel(name);
    const known = snapshots.get(offset);
    if (known !== undefined && known !== told) this.fault("snapshot", `${name}:${offset} was ${known} and is ${told}`);
    snapshots.set(offset, told);
  }

  // How many snapshots could be compared with the log.
  check() {
    let compared = 0;
    for (const { name, offset, id, sum } of this.#states) {
      const event = this.#channel(name).events.get(offset);
      if (event && (event.id !== id || event.sum !== sum)) this.fault("state", `${name}:${offset} is not the same to all`);
    }
    for (const [name, { events, snapshots }] of this.#channels) {
      const items = new Map();
      let sum = 0;
      for (let offset = 0; ; ++offset) {
        if (snapshots.has(offset)) {
          ++compared;
          const replayed = `${items.size} items, sum ${sum}`;
          if (snapshots.get(offset) !== replayed) {
            this.fault("snapshot", `${name}:${offset} has ${snapshots.get(offset)}, its events make ${replayed}`);
          }
        }
        const event = events.get(offset + 1);
        if (!event) break;
        sum = (sum + MODULUS - (items.get(event.id) ?? 0) + event.sum) % MODULUS;
        if (event.type === "removed_item") items.delete(event.id);
        else items.set(event.id, event.sum);
      }
    }
    return compared;
  }
}

// What a client asks to be told of a channel.
export const WAYS = {
  all: {},
  newest: { conflate: true },
  even: { where: { "/parity": "even" } },
};

// The state of one channel as one client knows it.
export class Copy {
  items = new Map();
  position = null; // of the last message that was handled
  since = null; // what the subscription asked to resume from
  at = 0; // when the position was heard
  awaiting = false; // a snapshot
  unsure = false; // whether it has what came before its position: it has resumed, and had no snapshot since

  constructor(ledger, who, name, list, way) {
    Object.assign(this, { ledger, who, name, list, way });
  }

  // What to resume from: nothing while the position is one of a snapshot that never came.
  get resumable() {
    return this.awaiting ? null : this.position;
  }
  clone() {
    return { items: new Map(this.items), position: this.position, at: this.at };
  }
  restore({ items, position, at }) {
    Object.assign(this, { items: new Map(items), position, at, awaiting: false });
  }
  forget() {
    Object.assign(this, { items: new Map(), position: null, awaiting: false });
  }

  #fault(kind, message) {
    this.ledger.fault(kind, `${this.who} ${this.name} at ${this.position}: ${JSON.stringify(message).slice(0, 300)}`);
  }

  apply(message) {
    if (message.type === "subscribed") this.#subscribed(message);
    else if (message.type === "snapshot") this.#snapshot(message);
    else if (/_item$/.test(message.type)) this.#event(message);
  }

  #subscribed(message) {
    if (message.resumed) {
      ++this.ledger.counts.resumed;
      this.unsure = true;
      if (this.awaiting || message.position !== this.position) this.#fault("gaps", message);
      return;
    }
    // The log holds far more than this.
    // Of a log that nothing is in yet nothing is on disk either.
    const begun = this.resumable !== null && readPosition(this.position).offset > 0;
    const fresh = begun && this.since === this.position && Date.now() - this.at < 15_000;
    if (fresh) this.#fault("gaps", { ...message, note: "a fresh position was not honoured" });
    if (this.since !== null) ++this.ledger.counts.refused;
    this.position = message.position;
    this.awaiting = true;
  }

  #snapshot(message) {
    ++this.ledger.counts.snapshots;
    if (!this.awaiting) this.#fault("duplicates", message);
    this.items = new Map(message.items.map(({ id, item }) => [id, item]));
    const { epoch, offset } = readPosition(message.position);
    if (offset > 0) this.ledger.epoch(this.name, epoch);
    if (!this.way.where) this.ledger.snapshot(this.name, offset, this.items);
    this.#moved(message);
    this.awaiting = this.unsure = false;
  }

  #moved(message) {
    this.position = message.position;
    this.at = Date.now();
  }

  #event(message) {
    ++this.ledger.counts.events;
    if (this.awaiting || !this.position) return this.#fault("gaps", message);
    const before = readPosition(this.position);
    const now = readPosition(message.position);
    this.ledger.epoch(this.name, now.epoch);
    if (now.offset <= before.offset) return this.#fault("duplicates", message);
    const whole = this.way === WAYS.all;
    if (whole && now.offset > before.offset + 1) this.#fault("gaps", message);
    const known = this.items.get(message.id);
    // Conflated, an item may have come and gone between two messages; and who resumes may have missed how one came.
    const unheard = this.way.conflate && (this.unsure || message.type === "removed_item");
    if (!unheard && (message.type === "new_item") === (known !== undefined)) this.#fault("surprise", message);
    let { item } = message;
    if (message.patch && known !== undefined) {
      const patched = this.#patched(known, message);
      if (item !== undefined && canonical(patched) !== canonical(item)) this.#fault("patch", message);
      item = patched;
    }
    if (message.type === "removed_item") this.items.delete(message.id);
    else this.items.set(message.id, item);
    if (whole) this.ledger.event(this.name, now.offset, message, item);
    else this.ledger.state(this.name, now.offset, message, item);
    this.#moved(message);
  }

  #patched(known, message) {
    try {
      return jsonPatch.applyPatch(structuredClone(known), message.patch, true).newDocument;
    } catch {
      this.#fault("patch", message);
      return known;
    }
  }

  // Null when it holds what the API does, else what is different.
  difference(items) {
    const { where } = this.way;
    const mine = where ? items.filter((item) => item.parity === where["/parity"]) : items;
    const truth = new Map(mine.map((item) => [item.id, canonical(item)]));
    for (const [id, text] of truth) {
      const known = this.items.get(id);
      if (known === undefined) return `${id} is missing`;
      if (canonical(known) !== text) return `${id} is ${canonical(known)}, not ${text}`;
    }
    for (const id of this.items.keys()) if (!truth.has(id)) return `${id} is too many`;
    return null;
  }
}
