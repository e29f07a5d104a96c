// The panel of one subscription.
import { RateChart } from "./chart.mjs";
import { commandsFor } from "./commands.mjs";
import { copyText, freshId, h, setText, showState, stateBadge, timeElement, timeText } from "./dom.mjs";
import { ItemView } from "./item_view.mjs";

const SHOWN_ITEMS = 200;

const number = (count) => count.toLocaleString();

function commandBlock({ name, text }) {
  const code = h("code", {}, text);
  const button = h("button", { type: "button", class: "small", "aria-label": `Copy the ${name} line` }, "Copy");
  button.addEventListener("click", async () => {
    setText(button, (await copyText(code)) ? "Copied" : "Press Ctrl+C");
    setTimeout(() => setText(button, "Copy"), 2000);
  });
  return h("div", { class: "command" }, h("h4", {}, name), button, h("pre", { tabindex: "0", "aria-label": name }, code));
}

export class FeedView {
  #feed;
  #chart;
  #views = new Map(); // by item id
  #newest; // entry of the history that is shown
  #paused = false;

  #params = h("span", { class: "params" });
  #badge = stateBadge("pending");
  #pause = h("button", { type: "button", class: "small", "aria-pressed": "false" }, "Pause");
  #note = h("p", { class: "note" });
  #problem = h("p", { class: "problem" });
  #numbers = h("dl", { class: "numbers" });
  #link = h("p", { class: "link" });
  #history = h("ol", { class: "history" });
  #commands = h("div", { class: "commands" });
  #list = h("ol", { class: "items" });
  #more = h("p", { class: "more" });

  // context: {base, withToken(), unsubscribe(feed)}
  constructor(feed, context) {
    this.#feed = feed;
    this.context = context;
    this.#chart = new RateChart(feed.rate);
    const title = freshId("feed");
    this.heading = h("h3", { id: title, tabindex: "-1" }, h("span", { class: "name" }, feed.channel), " ", this.#params);
    this.#pause.addEventListener("click", () => this.#togglePause());
    this.region = h("div", { class: "scroller", role: "region", tabindex: "0" }, this.#list, this.#more);
    const details = h("details", {}, h("summary", {}, "Commands"), this.#commands);
    details.addEventListener("toggle", () => this.#showCommands(details.open));
    this.element = h(
      "article",
      { class: "feed", "aria-labelledby": title },
      h(
        "header",
        {},
        this.heading,
        this.#badge,
        h(
          "div",
          { class: "actions" },
          this.#pause,
          h("button", { type: "button", class: "small", onclick: () => context.unsubscribe(feed) }, "Unsubscribe"),
        ),
      ),
      this.#problem,
      this.#note,
      this.#chart.element,
      this.#numbers,
      this.#link,
      h("div", { class: "folds" }, details, h("details", {}, h("summary", {}, "History"), this.#history)),
      this.region,
    );
  }

  // Everything that the feed knows now, but for the items while they are paused.
  render() {
    const feed = this.#feed;
    setText(this.#params, Object.entries(feed.params).map(([name, value]) => `${name}=${value}`).join("  "));
    showState(this.#badge, feed.problem ? "unavailable" : feed.status.state);
    setText(this.#problem, feed.problem);
    this.#problem.hidden = feed.problem === "";
    this.#showStatus();
    this.#showNumbers();
    setText(this.#link, feed.link === "" ? "" : `${feed.link} · position ${feed.position ?? "none yet"}`);
    this.region.setAttribute("aria-label", `Items of ${feed.id}`);
    this.#showHistory();
    this.#chart.draw();
    if (!this.#paused) this.#showItems();
  }

  // What moves on with the clock.
  tick() {
    this.#chart.draw();
    this.#showStatus();
  }

  focus() {
    this.heading.focus();
  }

  #showStatus() {
    const { reason, message, at, next_poll: next } = this.#feed.status;
    const parts = [reason?.replaceAll("_", " "), message].filter(Boolean).join(": ");
    // A channel that goes on polling says no more when, so what has passed is of no use.
    const isAhead = next && Date.parse(next) > Date.now();
    const when = [at && `since ${timeText(at)}`, isAhead && `next poll ${timeText(next)}`].filter(Boolean).join(" · ");
    setText(this.#note, [parts, when].filter(Boolean).join(" — "));
    this.#note.hidden = this.#note.textContent === "";
  }

  #showHistory() {
    const { history } = this.#feed;
    if (history[0] === this.#newest) return;
    this.#newest = history[0];
    this.#history.replaceChildren(
      ...history.map(({ at, state, text, nextPoll }) =>
        h("li", {}, timeElement(at), " ", h("b", {}, state.replaceAll("_", " ")), " ", text, nextPoll ? ` · next poll ${timeText(nextPoll)}` : ""),
      ),
    );
  }

  #showNumbers() {
    const { size, counts } = this.#feed;
    const all = [["items", size], ["new", counts.new_item], ["updated", counts.updated_item], ["removed", counts.removed_item]];
    if (this.#numbers.children.length === 0)
      this.#numbers.append(...all.map(([name]) => h("div", { "data-name": name }, h("dt", {}, name), h("dd"))));
    all.forEach(([, count], place) => setText(this.#numbers.children[place].lastChild, number(count)));
  }

  #showItems() {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    const records = this.#feed.latest(SHOWN_ITEMS);
    const ids = new Set(records.map(({ id }) => id));
    for (const [id, view] of this.#views) {
      if (ids.has(id)) continue;
      view.element.remove();
      this.#views.delete(id);
    }
    let next = this.#list.firstChild;
    for (const record of records) {
      if (!this.#views.has(record.id)) this.#views.set(record.id, new ItemView());
      const view = this.#views.get(record.id);
      view.show(record);
      if (view.element === next) next = next.nextSibling;
      else this.#list.insertBefore(view.element, next);
    }
    const more = this.#feed.beyond(SHOWN_ITEMS);
    setText(this.#more, more > 0 ? `and ${number(more)} more that are not shown` : "");
    // Moving or renewing an element takes the focus from it.
    if (focused && focused !== document.activeElement) (focused.isConnected ? focused : this.region).focus({ preventScroll: true });
  }

  #togglePause() {
    this.#paused = !this.#paused;
    this.#pause.setAttribute("aria-pressed", String(this.#paused));
    setText(this.#pause, this.#paused ? "Continue" : "Pause");
    this.element.classList.toggle("paused", this.#paused);
    this.render();
  }

  #showCommands(open) {
    const commands = open ? commandsFor(this.#feed, this.context.base, this.context.withToken()) : [];
    this.#commands.replaceChildren(...commands.map(commandBlock));
  }
}
