// Makes elements. Data reaches the page only as text and through safeLink(): it comes from plugins and APIs.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// h("p", {class: "note"}, "text", element, …). Names of options are literals of ours, "onclick" and the like functions.
export const h = (tag, options = {}, ...children) => fill(document.createElement(tag), options, children);
export const svg = (tag, options = {}, ...children) => fill(document.createElementNS(SVG, tag), options, children);

export const byId = (id) => document.getElementById(id);

let lastId = 0;
export const freshId = (name) => `${name}-${++lastId}`;

// Only when it differs, so that a screen reader or a selection is not disturbed by nothing.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// An address that may be followed from here, or null: javascript:, data: and the like may not.
export function safeLink(text) {
  if (typeof text !== "string" || !/^https?:\/\//i.test(text)) return null;
  return URL.canParse(text) ? text : null;
}

// A foreign site is told neither that it was reached from here nor given a hold on this page.
export const outsideLink = (address, ...children) =>
  h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);

export const cut = (text, most) => (text.length > most ? `${text.slice(0, most).replace(/[\uD800-\uDBFF]$/, "")}…` : text);

// Today's times without the date.
export function timeText(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString();
}

export const timeElement = (time) => h("time", { datetime: time, title: time }, timeText(time));

// Says something to screen readers, once and politely.
export const announce = (text) => setText(byId("announcer"), text);

export function stateBadge(state) {
  const badge = h("span", { class: "state" });
  showState(badge, state);
  return badge;
}
export function showState(badge, state) {
  badge.dataset.state = state;
  setText(badge, state.replaceAll("_", " "));
}

// Without a secure origin there is no clipboard to write to; then the text is selected, ready for the keyboard.
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
