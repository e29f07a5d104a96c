// One item as a card: what looks like its title first, a few facts, what the last update changed, and all of it on demand.
import { cut, h, outsideLink, safeLink, timeElement } from "./dom.mjs";
import { childPointer, isNested, jsonPieces, textOf } from "./json.mjs";

const TITLES = ["title", "headline", "name", "full_text", "text", "label", "subject", "summary", "message", "description"];
const LEDES = ["abstract", "summary", "description", "excerpt", "subtitle", "body", "text"];
const LINKS = ["url", "html_url", "link", "href", "permalink", "uri"];
const TITLE_LENGTH = 200;
const LEDE_LENGTH = 280;
const VALUE_LENGTH = 160;
const FACT_LENGTH = 60;
const MOST_FACTS = 6;
const MOST_CHANGES = 8;
const MOST_TEXT = 200_000;

const isText = (value) => typeof value === "string" && value.trim() !== "";
const firstNamed = (item, names, fits) => names.find((name) => Object.hasOwn(item, name) && fits(item[name]));

// Short scalars of the item and of the objects in it: [{name, text}]. The id
// and what changed are told elsewhere.
function factsOf(item, id, used, changed) {
  const facts = [];
  const look = (object, pointer, prefix) => {
    for (const [name, value] of Object.entries(object)) {
      const at = childPointer(pointer, name);
      if (prefix === "" && used.has(name)) continue;
      if (isNested(value) && !Array.isArray(value) && prefix === "") look(value, at, `${name}.`);
      if (value === null || isNested(value) || value === "" || changed.has(at)) continue;
      const text = textOf(value);
      if (text !== id && text.length <= FACT_LENGTH && !safeLink(text)) facts.push({ name: prefix + name, text });
    }
  };
  look(item, "", "");
  return facts.slice(0, MOST_FACTS);
}

const marked = (is, text) => (is ? h("mark", {}, text) : text);

function changeLine({ op, path, before, after }) {
  const value = (tag, label, one) =>
    h(tag, { dir: "auto" }, h("span", { class: "unseen" }, `${label} `), cut(textOf(one), VALUE_LENGTH));
  return h(
    "li",
    {},
    h("code", {}, path === "" ? "(all of it)" : path),
    " ",
    before === undefined ? (op === "remove" ? h("del", {}, "removed") : null) : value("del", "was", before),
    " ",
    after === undefined ? null : value("ins", "is now", after),
  );
}

function changeList(changes) {
  if (changes.length === 0) return null;
  const more = changes.length - MOST_CHANGES;
  return h(
    "ul",
    { class: "changes", "aria-label": "What changed" },
    ...changes.slice(0, MOST_CHANGES).map(changeLine),
    more > 0 ? h("li", {}, `and ${more} more`) : null,
  );
}

function summary({ id, kind, time, item, changes }) {
  const object = isNested(item) && !Array.isArray(item) ? item : { item };
  const changed = new Set(changes.map(({ path }) => path));
  const titleName = firstNamed(object, TITLES, isText);
  const ledeName = firstNamed(object, LEDES.filter((name) => name !== titleName), isText);
  const linkName = firstNamed(object, LINKS, safeLink);
  const title = marked(changed.has(`/${titleName}`), cut(titleName ? object[titleName] : id, TITLE_LENGTH));
  const used = new Set([titleName, ledeName, linkName]);
  const facts = factsOf(object, id, used, changed);
  return [
    kind === "known" ? null : h("p", { class: "meta" }, h("span", { class: "tag" }, kind), time ? timeElement(time) : null),
    h("h4", { dir: "auto" }, linkName && kind !== "removed" ? outsideLink(object[linkName], title) : title),
    ledeName ? h("p", { class: "lede", dir: "auto" }, marked(changed.has(`/${ledeName}`), cut(object[ledeName], LEDE_LENGTH))) : null,
    changeList(changes),
    facts.length === 0
      ? null
      : h(
          "dl",
          { class: "facts" },
          ...facts.map(({ name, text }) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, text))),
        ),
  ].filter((part) => part !== null);
}

function fullText({ item, changes }) {
  let left = MOST_TEXT;
  const parts = [];
  for (const { text, marked: is } of jsonPieces(item, new Set(changes.map(({ path }) => path)))) {
    if (left <= 0) break;
    parts.push(marked(is, text.slice(0, left)));
    left -= text.length;
  }
  if (left <= 0) parts.push(`\n… cut here: the item is longer than ${MOST_TEXT.toLocaleString()} characters`);
  return parts;
}

// Stays the same element over the item's life, so that an opened item stays open and the focus where it is.
export class ItemView {
  #record = null;
  #body = h("div");
  #full = h("pre", { tabindex: "0", "aria-label": "The whole item as JSON", dir: "ltr" });
  #details = h("details", { ontoggle: () => this.#showFull() }, h("summary", {}, "JSON"), this.#full);
  element = h("li", { class: "item" }, this.#body, this.#details);

  show(record) {
    if (record === this.#record) return;
    this.#record = record;
    this.element.dataset.kind = record.kind;
    this.element.dataset.id = record.id;
    this.#body.replaceChildren(...summary(record));
    this.#details.hidden = record.kind === "removed";
    this.#showFull();
    if (record.kind !== "known") this.#flash();
  }

  #showFull() {
    this.#full.replaceChildren(...(this.#details.open ? fullText(this.#record) : []));
  }

  #flash() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const running of this.element.getAnimations()) running.cancel();
    const from = getComputedStyle(document.documentElement).getPropertyValue(`--flash-${this.#record.kind}`);
    this.element.animate([{ backgroundColor: from }, {}], { duration: 2500, easing: "ease-out" });
  }
}
