// Plain lists for tests: GET /list/{name} -> {"items": […]}. A list exists once it has been set by /_control/set,
// either with items of the test's own or as one that changes with every round.
import { Random } from "./random.mjs";

const PREFIX = "/list/";

class ChangingList {
  constructor(path, seed, count) {
    this.path = path;
    this.random = new Random(`${seed}${path}`);
    this.next = 1;
    this.items = Array.from({ length: count }, () => this.#fresh());
  }

  // One item more at the front, the last one gone, one in between counted up.
  change() {
    const removed = this.items.splice(-1);
    const added = this.#fresh();
    const place = this.items.length === 0 ? -1 : this.random.between(0, this.items.length - 1);
    const updated = [];
    if (place >= 0) {
      this.items[place] = { ...this.items[place], count: this.items[place].count + 1 };
      updated.push(this.items[place]);
    }
    this.items.unshift(added);
    const ids = (list) => list.map((item) => item.id);
    return { path: this.path, new: ids([added]), updated: ids(updated), removed: ids(removed) };
  }

  #fresh() {
    const number = this.next++;
    return { id: `item-${number}`, title: `Item number ${number}`, count: this.random.between(1, 100) };
  }
}

export class Lists {
  #lists = new Map();
  #seed;

  constructor(seed) {
    this.#seed = seed;
  }

  handles(path) {
    return path.startsWith(PREFIX);
  }

  makeChanging(path, count) {
    this.#lists.set(path, new ChangingList(path, this.#seed, count));
  }

  answer({ path, items }) {
    const shown = items ?? this.#lists.get(path)?.items;
    if (shown) return { status: 200, json: { items: shown } };
    return { status: 404, json: { error: `there is no list at ${path}; make one with POST /_control/set` } };
  }

  change() {
    return [...this.#lists.values()].map((list) => list.change());
  }
}
