// One subscription: what is known of its items, its state and its position, built from the server's messages alone.
import { channelId } from "./channels.mjs";
import { changesOf } from "./json.mjs";
import { Rate } from "./rate.mjs";

const KEPT_ITEMS = 2000; // of a channel with more, only the latest are remembered, and the rest counted
const KEPT_HISTORY = 40;

export class Feed {
  #records = new Map(); // by item id, the longest untouched first
  #forgotten = 0; // items that exist but are no longer in #records

  channel;
  params;
  hidden = false; // followed, but not shown
  position = null; // to resume from; null: nothing that could be resumed was received
  status = { state: "pending", reason: null, message: "", at: null, next_poll: null };
  problem = ""; // why there is no subscription, in the server's words
  link = ""; // how the latest subscription began: "resumed" or "fresh snapshot"
  counts = { new_item: 0, updated_item: 0, removed_item: 0 };
  history = []; // newest first: {at, state, text}
  rate = new Rate();

  constructor(channel, params) {
    this.channel = channel;
    this.params = params;
  }

  get id() {
    return channelId(this.channel, this.params);
  }

  // Removed ones not counted.
  get size() {
    let removed = 0;
    for (const record of this.#records.values()) removed += record.kind === "removed" ? 1 : 0;
    return this.#records.size - removed + this.#forgotten;
  }

  // The latest touched items, newest first.
  latest(count) {
    return [...this.#records.values()].slice(-count).reverse();
  }

  // How many items latest(count) leaves out.
  beyond(count) {
    return Math.max(0, this.#records.size - count) + this.#forgotten;
  }

  // The `subscribed` message.
  begin({ channel, params, position, resumed }, now) {
    Object.assign(this, { channel, params, problem: "", link: resumed ? "resumed" : "fresh snapshot" });
    // Without a resume the position counts only once the snapshot is here: a connection lost in between would
    // otherwise resume from it and never show the items that the snapshot held.
    this.position = resumed ? position : null;
    this.status = { state: "live", reason: null, message: "", at: null, next_poll: null };
    this.#remember(new Date(now).toISOString(), "connected", resumed ? `resumed at ${position}, nothing missed` : "fresh snapshot");
  }

  refuse(message, now) {
    this.problem = message;
    this.#remember(new Date(now).toISOString(), "refused", message);
  }

  remark(message, now) {
    this.#remember(new Date(now).toISOString(), "note", message);
  }

  apply(message, now) {
    if (message.type === "status") return this.#changeState(message);
    if (message.type === "snapshot") return this.#replaceAll(message);
    if (!Object.hasOwn(this.counts, message.type)) return; // a message of a later protocol
    this.position = message.position;
    this.counts[message.type] += 1;
    this.rate.add(now);
    const { id, time } = message;
    const old = this.#records.get(id);
    if (!old && message.type !== "new_item") this.#forgotten = Math.max(0, this.#forgotten - 1);
    if (message.type === "new_item") this.#touch({ id, time, kind: "new", item: message.item, changes: [] });
    if (message.type === "removed_item") this.#touch({ id, time, kind: "removed", item: old?.item ?? {}, changes: [] });
    if (message.type === "updated_item")
      this.#touch({ id, time, kind: "updated", item: message.item, changes: changesOf(old?.item, message.patch) });
  }

  #touch(record) {
    this.#records.delete(record.id);
    this.#records.set(record.id, record);
    if (this.#records.size <= KEPT_ITEMS) return;
    const [oldest, { kind }] = this.#records.entries().next().value;
    this.#records.delete(oldest);
    if (kind !== "removed") this.#forgotten += 1;
  }

  #replaceAll({ items, position }) {
    this.position = position;
    this.#records.clear();
    const kept = items.slice(0, KEPT_ITEMS);
    this.#forgotten = items.length - kept.length;
    // The API's first item is the first shown.
    for (const { id, item } of kept.reverse()) this.#touch({ id, kind: "known", item, changes: [] });
  }

  #changeState({ state, reason, message, at, next_poll }) {
    this.status = { state, reason, message, at, next_poll };
    this.#remember(at, state, [reason?.replaceAll("_", " "), message].filter(Boolean).join(": "), next_poll);
  }

  #remember(at, state, text, nextPoll = null) {
    this.history.unshift({ at, state, text, nextPoll });
    this.history.length = Math.min(this.history.length, KEPT_HISTORY);
  }
}
