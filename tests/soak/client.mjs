// A client that comes and goes: it stays for a while over some transport, leaves politely or not, comes back over
// another one, resumes from where it was, from where it was long ago, from nonsense or from nothing.
import { sleep } from "../e2e/processes.mjs";
import { Random } from "../upstream/random.mjs";
import { Copy, WAYS } from "./copy.mjs";
import { SocketReader, SourceReader, StreamReader } from "./readers.mjs";

const FETCHER = "list-complete";
const NONSENSE = ["garbage", "00000000deadbeef:7", "ffffffffffffffff:99999999", ":", "1:2:3"];

const channelId = (list) => `${FETCHER}?name=${list}`;

export class Client {
  #random;
  #ledger;
  #url;
  #copies; // by list
  #kept = new Map(); // list -> a state that it may go back to
  #stopping = false;
  #reader = null;
  #lastId = null; // of the stream of several channels that is, or was last
  #several = null;

  constructor({ ledger, seed, number, url, lists }) {
    this.who = `client ${number}`;
    this.#random = new Random(`${seed}/${this.who}`);
    this.#ledger = ledger;
    this.#url = url;
    this.way = WAYS[["all", "all", "all", "newest", "even"][Math.floor(number / 3) % 5]];
    this.#copies = new Map(lists.map((list) => [list, new Copy(ledger, this.who, channelId(list), list, this.way)]));
    this.patient = number % 3 === 0; // stays until the connection breaks
    this.late = number % 5 === 4; // comes when much has happened
    this.deliver = this.way.conflate ? "item" : ["both", "item", "patch"][number % 3];
    this.compressed = number % 2 === 0; // over a WebSocket
  }

  get copies() {
    return [...this.#copies.values()];
  }

  async run() {
    if (this.late) await sleep(this.#random.between(2000, 8000));
    while (!this.#stopping) {
      const stay = this.patient ? this.#random.between(3000, 20_000) : this.#random.between(20, 2500);
      await this.#stay(this.#random.pick(["socket", "socket", "source", "stream", "sources", "streams"]), stay);
      if (!this.#stopping) await sleep(this.#random.between(0, this.patient ? 200 : 1500));
    }
  }
  stop() {
    this.#stopping = true;
    this.#reader?.close(false);
  }

  // The last stay: until `isRight` says so.
  async finish(isRight, within) {
    const deadline = Date.now() + within;
    while (!isRight() && Date.now() < deadline) {
      this.#listen("socket", [...this.#copies.keys()], { honest: true });
      while (!isRight() && Date.now() < deadline && !this.#reader.ended) await sleep(50);
      this.#reader.close(false);
      await sleep(50);
    }
  }

  async #stay(how, ms) {
    const { connections } = this.#ledger.counts;
    connections[how] = (connections[how] ?? 0) + 1;
    const all = [...this.#copies.keys()];
    const several = how === "socket" || how.endsWith("s");
    let lists = several ? all.filter(() => this.#random.between(0, 9) < 7) : [this.#random.pick(all)];
    if (lists.length === 0) lists = [all[0]];
    const composite = several && how !== "socket";
    if (composite && this.#several && this.#random.between(0, 1) === 0) lists = this.#several.lists;
    this.#listen(how, lists, {});
    const end = Date.now() + ms;
    while (Date.now() < end && !this.#stopping && !this.#reader.ended) {
      const left = end - Date.now();
      const step = Math.min(left, this.#random.between(50, 800));
      // Now and then it reads nothing for a while.
      const stalls = this.#random.between(0, 9) === 0;
      if (stalls) this.#reader.pause();
      await Promise.race([sleep(step), this.#reader.done]);
      if (stalls) this.#reader.resume();
      if (how === "socket" && this.#random.between(0, 9) === 0) this.#subscribeAgain(this.#random.pick(lists));
      this.#keep();
    }
    this.#reader.close(this.#random.between(0, 1) === 0);
    if (composite) this.#keepSeveral(lists);
  }

  // Sometimes remembers a state, to go back to it later.
  #keep() {
    if (this.#random.between(0, 19) !== 0) return;
    const list = this.#random.pick([...this.#copies.keys()]);
    const copy = this.#copies.get(list);
    if (copy.resumable) this.#kept.set(list, copy.clone());
  }

  // Chooses what to resume from; the copy is set to what the client then knows.
  #begin(list, honest) {
    const copy = this.#copies.get(list);
    const fate = honest ? 99 : this.#random.between(0, 99);
    if (fate < 5) copy.forget();
    if (fate >= 5 && fate < 12 && this.#kept.has(list)) copy.restore(this.#kept.get(list));
    copy.since = copy.resumable;
    if (fate >= 12 && fate < 15) copy.since = this.#random.pick(NONSENSE);
    return copy.since;
  }

  #listen(how, lists, { honest = false }) {
    const copies = new Map(lists.map((list) => [channelId(list), this.#copies.get(list)]));
    const byLabel = ({ channel, params }) => copies.get(`${channel}?name=${params?.name}`);
    const onMessage = (message) => {
      if (message.type === "error") return this.#ledger.fault("error", JSON.stringify(message).slice(0, 300));
      byLabel(message)?.apply(message);
    };
    const reader = this.#open(how, lists, { honest, onMessage });
    reader.done.then(() => (reader.ended = true));
    this.#reader = reader;
  }

  #open(how, lists, { honest, onMessage }) {
    if (how === "socket") {
      const onOpen = (compressed) => {
        if (compressed) ++this.#ledger.counts.compressed;
        lists.forEach((list) => this.#subscribe(list, honest));
      };
      return new SocketReader(this.#url, { onOpen, onMessage, compressed: this.compressed });
    }
    const several = how.endsWith("s");
    const since = several ? this.#resumeSeveral(lists) : this.#begin(lists[0], honest);
    const path = several
      ? `/events?${lists.map((list) => `channel=${encodeURIComponent(channelId(list))}`).join("&")}&`
      : `/channels/${channelId(lists[0])}&`;
    const { conflate, where } = this.way;
    const more = (conflate ? "&_conflate=true" : "") + (where ? `&_where=${encodeURIComponent(JSON.stringify(where))}` : "");
    const url = `${this.#url}${path}_deliver=${this.deliver}${more}`;
    let heard = false; // anything that has an id
    const onId = (message, id) => {
      heard ||= Boolean(id);
      if (!several && message.position && id !== message.position) this.#ledger.fault("id", `${id} ${message.position}`);
      onMessage(message);
      if (several && id) this.#lastId = id; // an EventSource gives an empty one where the message has none
    };
    if (how.startsWith("stream")) return new StreamReader(url, { onMessage: onId, lastEventId: since });
    // It does not forget the id of a `subscribed` whose snapshot never came.
    const mayReconnect = () => {
      const mine = lists.map((list) => this.#copies.get(list));
      const parts = several ? (this.#lastId ?? "").split(",") : mine.map((copy) => (heard ? copy.position : since));
      mine.forEach((copy, i) => (parts[i] ? (copy.since = several ? copy.position : parts[i]) : copy.forget()));
      return !this.#stopping && mine.every((copy) => !copy.awaiting);
    };
    const query = since ? `&_since=${encodeURIComponent(since)}` : "";
    return new SourceReader(url + query, { onMessage: onId, mayReconnect });
  }

  #subscribe(list, honest) {
    const since = this.#begin(list, honest) ?? undefined;
    const params = { name: list };
    const { conflate, where } = this.way;
    this.#reader.send({ action: "subscribe", channel: FETCHER, params, since, deliver: this.deliver, conflate, where });
  }

  // Leaves a channel and comes back, on the same connection. What is on its way is the old subscription's until the
  // daemon says that it is over.
  #subscribeAgain(list) {
    const copy = this.#copies.get(list);
    const leaving = Object.hasOwn(copy, "apply"); // since a stalled step ago
    if (!this.#reader.ready || copy.awaiting || !copy.position || leaving) return;
    const params = { name: list };
    const apply = copy.apply;
    this.#reader.send({ action: "unsubscribe", channel: FETCHER, params });
    const until = (message) => {
      if (message.type !== "unsubscribed") return apply.call(copy, message);
      delete copy.apply;
      if (!this.#reader.over) this.#subscribe(list, true);
    };
    copy.apply = until;
    this.#reader.done.then(() => {
      if (copy.apply === until) delete copy.apply;
    });
  }

  // A stream of several channels can only be resumed from one of its own ids, with what was known when it came. A
  // channel that the id says nothing of begins anew.
  #keepSeveral(lists) {
    const saved = lists.map((list) => this.#copies.get(list).clone());
    this.#several = this.#lastId ? { lists, id: this.#lastId, saved } : null;
  }
  #resumeSeveral(lists) {
    const last = this.#several?.lists === lists ? this.#several : null;
    const parts = last?.id.split(",");
    lists.forEach((list, i) => {
      const copy = this.#copies.get(list);
      if (parts?.[i]) copy.restore(last.saved[i]);
      else copy.forget();
      copy.since = copy.position;
    });
    this.#lastId = last?.id ?? null;
    return this.#lastId;
  }
}
