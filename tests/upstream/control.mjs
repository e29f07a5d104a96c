// What a test may tell the server to do, below /_control/:
//
//   GET  stats                                        how often what was asked
//   POST change                                       one round of change now; answers what changed
//   POST set    {path, items: […]}                    the path's items, in the path's own shape
//   POST set    {path, body: "…", status, headers}    the path's whole answer, byte by byte
//   POST set    {path, changing: 5}                   for /list/NAME: 5 items that change with every round
//   POST set    {path}                                takes such an answer away again
//   POST fail   {path, mode, times}                   path: a prefix or "*"; times: null for until healed. Modes:
//                 status {status, headers, body}, html, truncated, cut, deep, hang, drip, endless, gzip_bomb,
//                 redirect {location, status}, reset, empty_list
//   POST delay  {path, ms}                            every answer below the prefix comes so much later
//   POST heal   {} or {path}                          no more failures and delays (below this very prefix)
//
// The newest rule for a path counts. Failures and delays come before credentials are looked at.
import { MODES } from "./faults.mjs";

const BODY_LIMIT = 64 * 1024 * 1024;

const covers = (prefix, path) => prefix === "*" || path.startsWith(prefix);

async function readJson(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new Error("the body is over 64 MiB");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  const value = text.trim() === "" ? {} : JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("expected a JSON object");
  return value;
}

function need(condition, message) {
  if (!condition) throw new Error(message);
}

function checkPath(order) {
  need(typeof order.path === "string", 'expected "path": a text such as "/list/a"');
}

export class Control {
  #rules = []; // oldest first
  #delays = [];
  #answers = new Map(); // path -> {items} or {status, body, headers}
  #stats;
  #change;
  #makeChanging;

  constructor({ stats, change, makeChanging }) {
    this.#stats = stats;
    this.#change = change;
    this.#makeChanging = makeChanging;
  }

  delayOf(path) {
    return this.#delays.findLast(({ prefix }) => covers(prefix, path))?.ms ?? 0;
  }

  // The failure that is due for this path, if any; uses it up by one.
  takeFault(path) {
    const rule = this.#rules.findLast((candidate) => covers(candidate.path, path));
    if (rule && rule.times !== null && --rule.times === 0) this.#rules.splice(this.#rules.indexOf(rule), 1);
    return rule;
  }

  answerSetFor(path) {
    return this.#answers.get(path);
  }

  async handle(request, response, path) {
    const verb = path.slice("/_control/".length);
    const reply = (status, value) => {
      response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
    };
    if (request.method === "GET" && verb === "stats") return reply(200, this.#stats.report());
    const orders = { change: this.#doChange, set: this.#doSet, fail: this.#doFail, heal: this.#doHeal, delay: this.#doDelay };
    if (request.method !== "POST" || !Object.hasOwn(orders, verb)) {
      return reply(404, { error: "expected GET stats, or POST change, set, fail, heal or delay below /_control/" });
    }
    try {
      return reply(200, orders[verb].call(this, await readJson(request)) ?? { ok: true });
    } catch (error) {
      return reply(400, { error: error.message });
    }
  }

  #doChange() {
    return this.#change();
  }

  #doSet(order) {
    checkPath(order);
    this.#answers.delete(order.path);
    if (order.changing !== undefined) {
      need(order.path.startsWith("/list/"), "only a path below /list/ can be a changing list");
      need(Number.isInteger(order.changing) && order.changing >= 0, 'expected "changing": how many items');
      this.#makeChanging(order.path, order.changing);
    } else if (order.items !== undefined) {
      need(Array.isArray(order.items), 'expected "items": a list');
      this.#answers.set(order.path, { items: order.items });
    } else if (order.body !== undefined || order.status !== undefined) {
      need(order.body === undefined || typeof order.body === "string", 'expected "body": a text');
      const { status = 200, body = "", headers = {} } = order;
      this.#answers.set(order.path, { status, body, headers, exact: true });
    }
  }

  #doFail(order) {
    checkPath(order);
    need(MODES.includes(order.mode), `expected "mode": one of ${MODES.join(", ")}`);
    const times = order.times ?? null;
    need(times === null || (Number.isInteger(times) && times > 0), 'expected "times": a number above 0, or null');
    this.#rules.push({ ...order, times });
  }

  #doDelay(order) {
    checkPath(order);
    need(Number.isFinite(order.ms) && order.ms >= 0, 'expected "ms": milliseconds');
    this.#delays.push({ prefix: order.path, ms: order.ms });
  }

  #doHeal(order) {
    this.#rules = this.#rules.filter((rule) => order.path !== undefined && rule.path !== order.path);
    this.#delays = this.#delays.filter(({ prefix }) => order.path !== undefined && prefix !== order.path);
  }
}
