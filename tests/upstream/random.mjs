// Seeded randomness: the same label always gives the same sequence, on every machine.
import { createHash } from "node:crypto";

export class Random {
  #counter = 0;
  #label;

  constructor(label) {
    this.#label = label;
  }

  // 32 bits, as a number.
  bits() {
    const digest = createHash("sha256").update(`${this.#label}#${this.#counter++}`).digest();
    return digest.readUInt32BE(0);
  }

  // A whole number from low to high, both included.
  between(low, high) {
    return low + (this.bits() % (high - low + 1));
  }

  pick(list) {
    return list[this.bits() % list.length];
  }

  // Some member of the list other than `not`.
  pickOther(list, not) {
    return this.pick(list.filter((member) => member !== not));
  }

  uuid() {
    const hex = Array.from({ length: 4 }, () => this.bits().toString(16).padStart(8, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}

// Content time does not follow the wall clock, or two runs with one seed would differ: it starts here and moves on by
// a minute with every round of change.
const START = Date.UTC(2024, 2, 1, 14, 0, 0);

export function contentTime(round, minutesEarlier = 0) {
  return new Date(START + (round - minutesEarlier) * 60_000);
}
