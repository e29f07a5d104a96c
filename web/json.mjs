// JSON as it came, and what an RFC 6902 patch changed in it. Pure; keys and values are strangers' data.

// A number that a double cannot hold (a long id, 1.50) keeps its digits, in browsers that hand out a number's source.
const keepDigits = (_, value, context) =>
  typeof value === "number" && String(value) !== context.source ? JSON.rawJSON(context.source) : value;

export const parseJson = (text) => (JSON.rawJSON ? JSON.parse(text, keepDigits) : JSON.parse(text));

export const isNested = (value) => value !== null && typeof value === "object" && !JSON.isRawJSON?.(value);

// For people: a text as it is, everything else as JSON.
export const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const pointerToken = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");
const namesOf = (pointer) => pointer.split("/").slice(1).map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));

export const childPointer = (pointer, name) => `${pointer}/${pointerToken(name)}`;

// A member named __proto__ is a member like any other.
const put = (object, name, value) =>
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });

const parentOf = (root, names) => {
  let at = root;
  for (const name of names.slice(0, -1)) at = isNested(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  return isNested(at) ? at : undefined;
};

// What each operation replaced and put there: [{op, path, before, after}]. `before` may be undefined (not known), and
// then no operation knows what was there. The server sends add, remove and replace.
export function changesOf(before, patch) {
  const holder = before === undefined ? {} : { root: parseJson(JSON.stringify(before)) };
  return patch.map(({ op, path, value }) => {
    const names = ["root", ...namesOf(path)];
    const parent = parentOf(holder, names);
    const name = names.at(-1);
    const change = { op, path };
    if (op !== "add" && parent && Object.hasOwn(parent, name)) change.before = parent[name];
    if (op !== "remove") change.after = value;
    // The copy must not share with what is shown as the change, which stays as it was at this step.
    const own = op === "remove" ? undefined : parseJson(JSON.stringify(value));
    if (Array.isArray(parent)) {
      const index = name === "-" ? parent.length : Number(name);
      parent.splice(index, op === "add" ? 0 : 1, ...(op === "remove" ? [] : [own]));
    } else if (parent && op === "remove") {
      delete parent[name];
    } else if (parent) {
      put(parent, name, own);
    }
    return change;
  });
}

const MAX_DEPTH = 64; // deeper values are written on one line

// The indented JSON text in pieces [{text, marked}]; marked are the values at the given pointers.
export function jsonPieces(value, markedPointers) {
  const pieces = [];
  const write = (text, marked) => {
    const last = pieces.at(-1);
    if (last && last.marked === marked) last.text += text;
    else pieces.push({ text, marked });
  };
  const walk = (one, pointer, depth, within) => {
    const marked = within || markedPointers.has(pointer);
    if (!isNested(one) || depth > MAX_DEPTH) return write(JSON.stringify(one), marked);
    const list = Array.isArray(one);
    const names = Object.keys(one);
    if (names.length === 0) return write(list ? "[]" : "{}", marked);
    const indent = "  ".repeat(depth + 1);
    write(list ? "[" : "{", marked);
    names.forEach((name, place) => {
      write(`${place === 0 ? "" : ","}\n${indent}`, marked);
      const at = childPointer(pointer, name);
      if (!list) write(`${JSON.stringify(name)}: `, marked || markedPointers.has(at));
      walk(one[name], at, depth + 1, marked);
    });
    write(`\n${"  ".repeat(depth)}${list ? "]" : "}"}`, marked);
  };
  walk(value, "", 0, false);
  return pieces;
}
