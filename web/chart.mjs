// The rate of events as bars, with the same said in words.
import { h, setText, svg } from "./dom.mjs";
import { RATE_BINS, RATE_UNITS } from "./rate.mjs";

const HEIGHT = 36;
const BAR = 4;
const GAP = 1;
const SPAN = { second: "minute", minute: "hour" };

function barsPath(counts, top) {
  return counts
    .map((count, place) => {
      const height = count === 0 ? 0 : Math.max(2, (count / top) * HEIGHT);
      return count === 0 ? "" : `M${place * BAR} ${HEIGHT}v${-height}h${BAR - GAP}v${height}z`;
    })
    .join("");
}

export class RateChart {
  #path = svg("path");
  #words = h("figcaption");
  #unit = h(
    "select",
    { "aria-label": "Bars of the chart", onchange: () => this.draw() },
    ...Object.keys(RATE_UNITS).map((unit) => h("option", { value: unit }, `per ${unit}`)),
  );
  element = h(
    "figure",
    { class: "rate" },
    svg(
      "svg",
      { viewBox: `0 0 ${RATE_BINS * BAR} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("path", { class: "ground", d: `M0 ${HEIGHT - 0.25}h${RATE_BINS * BAR}` }),
      this.#path,
    ),
    h("div", {}, this.#words, this.#unit),
  );

  constructor(rate) {
    this.rate = rate;
  }

  draw() {
    const unit = this.#unit.value;
    const counts = this.rate.counts(unit, Date.now());
    const top = Math.max(...counts);
    const sum = counts.reduce((total, count) => total + count, 0);
    this.#path.setAttribute("d", barsPath(counts, top));
    const events = `${sum.toLocaleString()} ${sum === 1 ? "event" : "events"} in the last ${SPAN[unit]}`;
    setText(this.#words, sum === 0 ? `no events in the last ${SPAN[unit]}` : `${events}, at most ${top} a ${unit}`);
  }
}
