// One fetcher in the list: what it says of itself, how it fares, and the form that subscribes to a channel of it.
import { freshId, h, outsideLink, safeLink, setText, showState, stateBadge, timeText } from "./dom.mjs";

// A text of the fetcher's own, whatever it put there.
const told = (value) => (typeof value === "string" ? value : "");

function quotaText(quota) {
  if (!quota) return "none declared";
  // What is known of the API's answers alone may lack the calls, the window, or both.
  const calls = quota.calls === null ? "" : quota.per === null ? `${quota.calls} calls` : `${quota.calls} a ${quota.per}`;
  const left = quota.left === null ? "what is left is not counted" : `${quota.left} left`;
  return [calls, left, quota.renews && `renews ${timeText(quota.renews)}`].filter(Boolean).join(", ");
}

function keyTexts(keys) {
  const all = Object.entries(keys ?? {});
  if (all.length === 0) return ["needs none"];
  return all.map(([name, state]) => h("span", { class: "key", "data-state": state }, `${name}: ${state}`));
}

class Field {
  constructor(name, spec, example) {
    this.name = name;
    this.example = example;
    const id = freshId("param");
    const hints = [
      told(spec.description),
      spec.required ? "" : spec.default !== undefined ? `default: ${spec.default}` : "optional",
      spec.pattern ? `pattern: ${spec.pattern}` : "",
    ];
    const attributes = {
      id,
      name,
      "aria-required": spec.required ? "true" : null,
      "aria-describedby": `${id}-hint ${id}-error`,
    };
    this.control = Array.isArray(spec.enum)
      ? h(
          "select",
          attributes,
          h("option", { value: "" }, spec.default !== undefined ? `default (${spec.default})` : "choose…"),
          ...spec.enum.map((value) => h("option", { value }, value)),
        )
      : h("input", { ...attributes, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: spec.default });
    this.error = h("p", { id: `${id}-error`, class: "error" });
    this.element = h(
      "div",
      { class: "field" },
      h("label", { for: id }, name, spec.required ? h("span", { class: "required" }, " required") : null),
      this.control,
      h("p", { id: `${id}-hint`, class: "hint" }, hints.filter(Boolean).join(" · ")),
      this.error,
    );
  }

  show(error) {
    setText(this.error, error);
    if (error) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }
}

export class FetcherView {
  #subscribe;
  #shape = ""; // what the form was made from
  #fields = [];
  #badge = stateBadge("pending");
  #description = h("p", { class: "description" });
  #trouble = h("p", { class: "note" });
  #facts = h("dl", { class: "facts" });
  #form = h("form", { novalidate: true, hidden: true });
  #formError = h("p", { class: "error", role: "alert" });
  #opener;

  // subscribe(channel, params): a promise, rejected with {code, message}
  constructor(name, subscribe) {
    this.name = name;
    this.#subscribe = subscribe;
    const title = freshId("fetcher");
    this.#form.id = `${title}-form`;
    this.#opener = h("button", { type: "button", "aria-label": `Subscribe to ${name}` }, "Subscribe");
    this.#opener.addEventListener("click", () => (this.#fields.length === 0 ? this.#submit() : this.#toggle(this.#form.hidden)));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.element = h(
      "li",
      { class: "fetcher", "aria-labelledby": title },
      h("header", {}, h("h3", { id: title }, name), this.#badge),
      this.#description,
      this.#trouble,
      this.#facts,
      this.#opener,
      this.#form,
      this.#formError,
    );
  }

  show(fetcher) {
    showState(this.#badge, fetcher.health?.state ?? "pending");
    setText(this.#description, told(fetcher.description));
    setText(this.#trouble, [fetcher.health?.reason?.replaceAll("_", " "), fetcher.health?.last_error].filter(Boolean).join(": "));
    this.#trouble.hidden = this.#trouble.textContent === "";
    const docs = safeLink(fetcher.doc_url);
    const facts = [
      ["keys", ...keyTexts(fetcher.keys)],
      ["quota", quotaText(fetcher.quota)],
      ["interval", fetcher.poll_interval ? `${fetcher.poll_interval} s, as it declares` : "not known"],
      ["channels", String(fetcher.channels ?? 0)],
      ["docs", docs ? outsideLink(docs, new URL(docs).host) : "none"],
    ];
    this.#replaceFacts(facts.map(([name, ...values]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...values))));
    const shape = JSON.stringify([fetcher.params ?? {}, fetcher.example_params ?? {}]);
    if (shape !== this.#shape) this.#makeForm(fetcher.params ?? {}, fetcher.example_params ?? {});
    this.#shape = shape;
  }

  // Only when something differs: the list is renewed whenever something happens, perhaps under somebody's finger.
  #replaceFacts(rows) {
    const fresh = h("dl", { class: "facts" }, ...rows);
    if (!fresh.isEqualNode(this.#facts)) this.#facts.replaceChildren(...fresh.childNodes);
  }

  #makeForm(params, examples) {
    this.#fields = Object.entries(params).map(([name, spec]) => new Field(name, spec, examples[name]));
    if (this.#fields.length === 0) {
      this.#form.hidden = true;
      this.#opener.removeAttribute("aria-expanded");
      return this.#form.replaceChildren();
    }
    this.#opener.setAttribute("aria-controls", this.#form.id);
    this.#opener.setAttribute("aria-expanded", String(!this.#form.hidden));
    const hasExample = this.#fields.some(({ example }) => example !== undefined);
    const useExample = () => {
      for (const { control, example } of this.#fields) control.value = example ?? "";
    };
    this.#form.replaceChildren(
      ...this.#fields.map(({ element }) => element),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "submit", class: "primary" }, "Open channel"),
        hasExample ? h("button", { type: "button", onclick: useExample }, "Fill in example") : null,
      ),
    );
  }

  #toggle(open) {
    this.#form.hidden = !open;
    this.#opener.setAttribute("aria-expanded", String(open));
    if (open) this.#fields[0].control.focus();
    else this.#opener.focus();
  }

  async #submit() {
    // An empty field is a param that is not given: the server fills in the default or says that it is required.
    const given = this.#fields.filter(({ control }) => control.value !== "");
    for (const field of this.#fields) field.show("");
    setText(this.#formError, "");
    try {
      await this.#subscribe(this.name, Object.fromEntries(given.map(({ name, control }) => [name, control.value])));
      if (this.#fields.length > 0) {
        this.#form.hidden = true;
        this.#opener.setAttribute("aria-expanded", "false");
      }
    } catch ({ code, message }) {
      this.#explain(code, message);
    }
  }

  // The server names the param that it means: beside that one is where its sentence belongs.
  #explain(code, message) {
    const field = code === "invalid_params" ? this.#fields.find(({ name }) => message.includes(`param '${name}'`)) : undefined;
    field?.show(message);
    field?.control.focus();
    setText(this.#formError, field ? "" : message);
  }
}
