// An API whose lists change at random, all the time: GET /list/{name} -> {"items": […]}. Ids come from a small pool, so
// items that went come back; now and then an answer is an error, is cut off, or is an empty list.
import { createServer } from "node:http";
import { Random } from "../upstream/random.mjs";

const POOL = 40; // ids of one list
const WORDS = ["plain", "ä ö ü", "line\nend", 'quote " and \\', "日本語", "", "x".repeat(700)];

export class Generator {
  #random;
  #timer = null;
  #lists; // name -> [item, …]
  #serial = 0;
  #hiccups = true;
  requests = 0;
  changes = 0;

  constructor({ seed, lists, everyMs }) {
    this.#random = new Random(`${seed}/generator`);
    this.#lists = new Map(Array.from({ length: lists }, (_, i) => [`l${i}`, []]));
    this.everyMs = everyMs;
    this.server = createServer((request, response) => this.#answer(request, response));
  }

  get names() {
    return [...this.#lists.keys()];
  }
  // What the API says now.
  items(name) {
    return this.#lists.get(name);
  }

  async start() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    for (let i = 0; i < 200; ++i) this.#change();
    this.#timer = setInterval(() => this.#change(), this.everyMs);
  }
  // No more changes, nor anything but good answers.
  rest() {
    clearInterval(this.#timer);
    this.#hiccups = false;
  }
  stop() {
    this.rest();
    this.server.close();
    this.server.closeAllConnections();
  }

  #answer(request, response) {
    ++this.requests;
    const items = this.#lists.get(request.url.slice("/list/".length));
    if (!items) return response.writeHead(404).end("{}");
    const text = JSON.stringify({ items });
    const fate = this.#hiccups ? this.#random.between(0, 99) : 99;
    if (fate === 0) return response.writeHead(500).end("{}");
    response.writeHead(200, { "content-type": "application/json" });
    if (fate === 1) return response.end(text.slice(0, text.length / 2));
    if (fate === 2) return response.end('{"items":[]}');
    return response.end(text);
  }

  #change() {
    ++this.changes;
    const random = this.#random;
    const items = this.#lists.get(random.pick(this.names));
    const place = items.length > 0 ? random.between(0, items.length - 1) : -1;
    const what = random.between(0, 9);
    if (what <= 1 || place < 0) {
      const id = `item-${random.between(1, POOL)}`;
      if (!items.some((item) => item.id === id)) items.splice(random.between(0, items.length), 0, this.#made(id));
    } else if (what === 2) {
      items.splice(place, 1);
    } else if (what === 3) {
      items.push(...items.splice(place, 1));
    } else {
      items[place] = this.#changed(items[place]);
    }
  }

  #made(id) {
    return { id, n: ++this.#serial, parity: this.#serial % 2 === 0 ? "even" : "odd", tags: [], deep: { a: null } };
  }

  #changed(item) {
    const random = this.#random;
    const changed = structuredClone(item);
    changed.n = ++this.#serial;
    const what = random.between(0, 5);
    if (what === 0) changed.parity = changed.n % 2 === 0 ? "even" : "odd";
    else if (what === 1) changed.tags.splice(random.between(0, changed.tags.length), 0, random.pick(WORDS));
    else if (what === 2) changed.tags.splice(0, 1);
    else if (what === 3) changed.deep = { [random.pick(["a", "b", "c/d", "e~f"])]: random.pick(WORDS) };
    else if (what === 4) changed.text = random.pick(WORDS);
    else delete changed.text;
    return changed;
  }
}
