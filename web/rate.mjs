// How many events came in each of the last 60 seconds and each of the last 60 minutes. Pure.

export const RATE_BINS = 60;
export const RATE_UNITS = { second: 1000, minute: 60_000 };

class Bins {
  #counts = new Array(RATE_BINS).fill(0);
  #newest = 0; // the number, since 1970, of the newest bin

  constructor(width) {
    this.width = width;
  }

  #advance(now) {
    const bin = Math.floor(now / this.width);
    const passed = Math.min(Math.max(bin - this.#newest, 0), RATE_BINS);
    for (let i = 0; i < passed; ++i) {
      this.#counts.shift();
      this.#counts.push(0);
    }
    this.#newest = Math.max(this.#newest, bin);
  }

  add(now) {
    this.#advance(now);
    this.#counts[RATE_BINS - 1] += 1;
  }

  // Oldest first.
  counts(now) {
    this.#advance(now);
    return [...this.#counts];
  }
}

export class Rate {
  #bins = Object.fromEntries(Object.entries(RATE_UNITS).map(([unit, width]) => [unit, new Bins(width)]));

  add(now) {
    for (const bins of Object.values(this.#bins)) bins.add(now);
  }
  counts(unit, now) {
    return this.#bins[unit].counts(now);
  }
}
