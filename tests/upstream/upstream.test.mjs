// Tests of the sample server itself, over real sockets. Run: node --test tests/upstream/upstream.test.mjs
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { authorize } from "./oauth.mjs";

const SERVER = fileURLToPath(new URL("server.mjs", import.meta.url));
const DEMO = JSON.parse(readFileSync(new URL("demo-keys.json", import.meta.url)));
const HOME = `/svc/topstories/v2/home.json?api-key=${DEMO["nyt-top"]["api-key"]}`;
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

function run(...words) {
  const child = spawn(process.execPath, [SERVER, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const seen = { out: "", err: "" };
  child.stdout.on("data", (text) => (seen.out += text));
  child.stderr.on("data", (text) => (seen.err += text));
  const ended = once(child, "close").then(([code]) => {
    running.delete(child);
    return { code, ...seen };
  });
  return { child, ended };
}

async function start(...words) {
  const { child, ended } = run("--port", "0", "--change-every", "0", ...words);
  const [line] = await once(child.stdout, "data");
  const port = Number(/^upstream listening on http:\/\/.*:([0-9]+)\n$/.exec(line)[1]);
  const base = `http://127.0.0.1:${port}`;
  const control = async (verb, order) => {
    const answer = await fetch(`${base}/_control/${verb}`, order && { method: "POST", body: JSON.stringify(order) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const stop = async () => {
    child.kill("SIGTERM");
    return (await ended).code;
  };
  return { base, port, control, stop, child, ended };
}

// fetch() hides encodings, and keeps headers such as Host to itself; this does not.
function get(server, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port: server.port, path, headers, agent: false }, async (response) => {
      try {
        const chunks = await collect(response);
        const body = Buffer.concat(chunks);
        resolve({ status: response.statusCode, headers: response.headers, body, json: () => JSON.parse(body) });
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", reject);
  });
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

describe("a running server", async () => {
  const server = await start("--seed", "test");
  after(() => server.stop());
  let nonce = 0;
  const tweet = (id, { credentials = DEMO["twitter-status"], timestamp = Date.now() / 1000, ...more } = {}) => {
    const path = `/2/tweets/${id}?tweet.fields=created_at,author_id,public_metrics`;
    const authorization = authorize({
      method: "GET", url: `https://api.twitter.com${path}`, credentials,
      timestamp: Math.floor(timestamp), nonce: more.nonce ?? `nonce-${++nonce}`,
    });
    return get(server, path, { host: "api.twitter.com", authorization });
  };

  test("serves top stories in the published shape", async () => {
    const { status, headers, json } = await get(server, HOME);
    assert.equal(status, 200);
    assert.match(headers["content-type"], /^application\/json/);
    const document = json();
    assert.deepEqual(Object.keys(document), ["status", "copyright", "section", "last_updated", "num_results", "results"]);
    assert.equal(document.section, "home");
    assert.equal(document.num_results, document.results.length);
    for (const story of document.results) {
      assert.match(story.uri, /^nyt:\/\/(article|embeddedinteractive)\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.match(story.updated_date, /^2024-03-01T\d\d:\d\d:\d\d-05:00$/);
      assert.equal(story.short_url, "");
    }
    assert.equal(new Set(document.results.map((story) => story.uri)).size, document.results.length);
  });

  test("takes a section's slash encoded or not, and knows no made-up sections", async () => {
    const key = `api-key=${DEMO["nyt-top"]["api-key"]}`;
    const encoded = await get(server, `/svc/topstories/v2/books%2Freview.json?${key}`);
    const plain = await get(server, `/svc/topstories/v2/books/review.json?${key}`);
    assert.equal(encoded.status, 200);
    assert.deepEqual(encoded.body, plain.body);
    assert.equal(encoded.json().results[0].subsection, "review");
    assert.equal((await get(server, `/svc/topstories/v2/gossip.json?${key}`)).status, 404);
    assert.equal((await get(server, `/svc/topstories/v2/..%2Fhome.json?${key}`)).status, 404);
  });

  test("refuses a missing and a wrong api-key with a fault", async () => {
    const missing = await get(server, "/svc/topstories/v2/home.json");
    assert.equal(missing.status, 401);
    assert.equal(missing.json().fault.detail.errorcode, "steps.oauth.v2.FailedToResolveAPIKey");
    const wrong = await get(server, "/svc/topstories/v2/home.json?api-key=wrong");
    assert.equal(wrong.status, 401);
    assert.equal(wrong.json().fault.faultstring, "Invalid ApiKey");
  });

  test("serves tweets to signed requests only", async () => {
    const good = await tweet("1460323737035677698");
    assert.equal(good.status, 200);
    const { data } = good.json();
    assert.deepEqual(Object.keys(data).sort(), [
      "author_id", "created_at", "edit_history_tweet_ids", "id", "public_metrics", "text",
    ]);
    assert.deepEqual(Object.keys(data.public_metrics).sort(), [
      "bookmark_count", "impression_count", "like_count", "quote_count", "reply_count", "retweet_count",
    ]);
    const stale = await tweet("1460323737035677698", { timestamp: Date.now() / 1000 - 400 });
    assert.equal(stale.status, 401);
    assert.deepEqual(stale.json(), { title: "Unauthorized", type: "about:blank", status: 401, detail: "Unauthorized" });
    assert.equal((await tweet("1460323737035677698", { nonce: "twice" })).status, 200);
    assert.equal((await tweet("1460323737035677698", { nonce: "twice" })).status, 401);
    assert.equal((await get(server, "/2/tweets/1460323737035677698")).status, 401);
  });

  test("answers an unknown tweet as API v2 does, and a bad id with 400", async () => {
    const unknown = await tweet("42");
    assert.equal(unknown.status, 200);
    assert.equal(unknown.json().data, undefined);
    assert.equal(unknown.json().errors[0].title, "Not Found Error");
    assert.equal((await tweet("abc")).status, 400);
  });

  test("a round of change brings, edits and drops stories and raises likes, and says so", async () => {
    const likes = async () => (await tweet("1460323737035677698")).json().data.public_metrics.like_count;
    const byUri = async () => new Map((await get(server, HOME)).json().results.map((story) => [story.uri, story]));
    const likesBefore = await likes();
    const before = await byUri();
    const { changes } = await server.control("change", {});
    const told = changes.find((change) => change.path === "/svc/topstories/v2/home.json");
    const now = await byUri();
    assert.ok(told.new.length > 0 && told.updated.length > 0 && told.removed.length > 0);
    assert.deepEqual([...now.keys()].filter((uri) => !before.has(uri)), told.new);
    assert.deepEqual([...before.keys()].filter((uri) => !now.has(uri)), told.removed);
    for (const [uri, story] of now) {
      if (!before.has(uri)) continue;
      const same = JSON.stringify(story) === JSON.stringify(before.get(uri));
      assert.equal(same, !told.updated.includes(uri), uri);
      if (!same) assert.notEqual(story.title, before.get(uri).title);
      if (!same) assert.notEqual(story.updated_date, before.get(uri).updated_date);
    }
    assert.ok((await likes()) > likesBefore);
  });

  test("gives strong ETags, 304 for the same, 200 after a change; each encoding has its own", async () => {
    const first = await get(server, HOME);
    assert.match(first.headers.etag, /^"[^"]+"$/);
    const again = await get(server, HOME, { "if-none-match": first.headers.etag });
    assert.equal(again.status, 304);
    assert.equal(again.headers.etag, first.headers.etag);
    assert.equal(again.body.length, 0);
    const zipped = await get(server, HOME, { "accept-encoding": "br, gzip" });
    assert.equal(zipped.headers["content-encoding"], "gzip");
    assert.deepEqual(gunzipSync(zipped.body), first.body);
    assert.notEqual(zipped.headers.etag, first.headers.etag);
    assert.equal((await get(server, HOME, { "accept-encoding": "gzip;q=0" })).headers["content-encoding"], undefined);
    await server.control("change", {});
    assert.equal((await get(server, HOME, { "if-none-match": first.headers.etag })).status, 200);
  });

  test("lists are what they were set to; unset ones are not there", async () => {
    assert.equal((await get(server, "/list/a")).status, 404);
    await server.control("set", { path: "/list/a", items: [{ id: "1", n: 12345678901234567890n.toString() }] });
    assert.deepEqual((await get(server, "/list/a")).json(), { items: [{ id: "1", n: "12345678901234567890" }] });
    await server.control("set", { path: "/list/b", changing: 3 });
    const before = (await get(server, "/list/b")).json().items;
    const { changes } = await server.control("change", {});
    const told = changes.find((change) => change.path === "/list/b");
    assert.deepEqual([told.new, told.removed], [["item-4"], [before.at(-1).id]]);
    assert.equal((await get(server, "/list/b")).json().items.length, 3);
    await server.control("set", { path: "/list/a" });
    assert.equal((await get(server, "/list/a")).status, 404);
  });

  test("a set body is sent byte by byte, and its own validators answer conditional requests", async () => {
    const body = '{"items": [{"id": 1, "big": 12345678901234567890123, "dup": 1.0}]}';
    await server.control("set", { path: "/list/raw", body, headers: { ETag: '"mine"', "X-Poll-Interval": "7" } });
    const answer = await get(server, "/list/raw", { "accept-encoding": "gzip" });
    assert.equal(answer.body.toString(), body);
    assert.equal(answer.headers["x-poll-interval"], "7");
    assert.equal((await get(server, "/list/raw", { "if-none-match": '"mine"' })).status, 304);
    await server.control("set", { path: "/list/raw", status: 404, body: "gone" });
    assert.equal((await get(server, "/list/raw")).status, 404);
    await server.control("set", { path: HOME.split("?")[0], items: [{ uri: "nyt://article/1" }] });
    assert.equal((await get(server, HOME)).json().num_results, 1);
    assert.equal((await get(server, HOME.split("?")[0])).status, 401, "set items still need the key");
    await server.control("set", { path: HOME.split("?")[0] });
    await server.control("set", { path: "/2/tweets/1460323737035677698", items: [] });
    assert.equal((await tweet("1460323737035677698")).json().errors.length, 1);
    await server.control("set", { path: "/2/tweets/1460323737035677698" });
  });

  test("fails as told, as often as told, and heals", async () => {
    await server.control("set", { path: "/list/f", items: [{ id: "1", text: "something to cut in half" }] });
    const fail = (mode, more = {}) => server.control("fail", { path: "/list/", mode, times: 1, ...more });
    await fail("status", { status: 429, headers: { "Retry-After": "3" }, times: 2 });
    assert.equal((await get(server, "/list/f")).headers["retry-after"], "3");
    assert.equal((await get(server, "/list/f")).status, 429);
    assert.equal((await get(server, "/list/f")).status, 200);
    await fail("html");
    assert.match((await get(server, "/list/f")).headers["content-type"], /text\/html/);
    await fail("truncated");
    const truncated = await get(server, "/list/f");
    assert.throws(truncated.json, SyntaxError);
    assert.equal(Number(truncated.headers["content-length"]), truncated.body.length);
    await fail("cut");
    await assert.rejects(get(server, "/list/f"));
    await fail("reset");
    await assert.rejects(get(server, "/list/f"), { code: "ECONNRESET" });
    await fail("deep");
    assert.match((await get(server, "/list/f")).body.toString(), /\[{100000}/);
    await fail("redirect", { location: "http://127.0.0.1:1/elsewhere" });
    assert.equal((await get(server, "/list/f")).headers.location, "http://127.0.0.1:1/elsewhere");
    await fail("empty_list");
    assert.deepEqual((await get(server, "/list/f")).json(), { items: [] });
    await server.control("fail", { path: "*", mode: "empty_list", times: 1 });
    assert.deepEqual((await get(server, HOME)).json().results, []);
    await server.control("fail", { path: "*", mode: "status", status: 500 });
    assert.equal((await get(server, "/list/f")).status, 500);
    assert.equal((await get(server, HOME)).status, 500);
    await server.control("heal", {});
    assert.equal((await get(server, "/list/f")).status, 200);
  });

  test("the modes without an end have none", async () => {
    // Within that time, or until there are so many.
    const bytesWithin = (ms, enough = Infinity) =>
      new Promise((resolve) => {
        let bytes = 0;
        let ended = false;
        const done = () => {
          clearTimeout(timer);
          request.destroy();
          resolve({ bytes, ended });
        };
        const timer = setTimeout(() => done(), ms);
        const request = http.get({ port: server.port, path: "/list/f", agent: false }, (response) => {
          response.on("data", (chunk) => {
            bytes += chunk.length;
            if (bytes > enough) done();
          });
          response.on("end", () => (ended = true));
        });
        request.on("error", () => {});
      });
    await server.control("fail", { path: "/list/f", mode: "hang" });
    assert.deepEqual(await bytesWithin(200), { bytes: 0, ended: false });
    await server.control("fail", { path: "/list/f", mode: "drip", every_ms: 10 });
    const drip = await bytesWithin(20_000, 10);
    assert.ok(!drip.ended && drip.bytes > 10 && drip.bytes < 100, JSON.stringify(drip));
    await server.control("fail", { path: "/list/f", mode: "endless" });
    const endless = await bytesWithin(20_000, 1_000_000);
    assert.ok(!endless.ended && endless.bytes > 1_000_000, JSON.stringify(endless));
    await server.control("heal", {});
  });

  test("the gzip bomb is small on the wire and large inside", async () => {
    await server.control("fail", { path: "/list/f", mode: "gzip_bomb", times: 1 });
    const bomb = await get(server, "/list/f");
    assert.equal(bomb.headers["content-encoding"], "gzip");
    assert.ok(bomb.body.length < 1_000_000);
    assert.equal(gunzipSync(bomb.body).length, 256 * 1024 * 1024);
  });

  test("a delay comes before the answer", async () => {
    await server.control("delay", { path: "/list/f", ms: 300 });
    const begin = Date.now();
    assert.equal((await get(server, "/list/f")).status, 200);
    assert.ok(Date.now() - begin >= 290);
    await server.control("heal", { path: "/list/f" });
  });

  test("wrong orders are refused with a sentence", async () => {
    assert.match((await server.control("fail", { path: "*", mode: "explode" })).error, /one of status, html/);
    assert.match((await server.control("set", {})).error, /"path"/);
    const broken = await fetch(`${server.base}/_control/set`, { method: "POST", body: "{" });
    assert.equal(broken.status, 400);
    assert.equal((await fetch(`${server.base}/_control/set`)).status, 404);
  });

  test("counts every request, and no credential appears in the counts", async () => {
    const before = await server.control("stats");
    await get(server, HOME);
    await get(server, `/odd/${DEMO["nyt-top"]["api-key"]}`);
    await get(server, "/svc/topstories/v2/home.json?api-key=wrong-key-wrong-key");
    const { headers } = await get(server, HOME);
    await get(server, HOME, { "if-none-match": headers.etag });
    const stats = await server.control("stats");
    assert.equal(stats.total - before.total, 5);
    assert.equal(stats.by_path["/svc/topstories/v2/home.json"] - before.by_path["/svc/topstories/v2/home.json"], 4);
    assert.equal(stats.not_modified - before.not_modified, 1);
    assert.equal(stats.unauthorized - before.unauthorized, 1);
    assert.equal(stats.log.length, stats.total);
    assert.deepEqual(stats.log.slice(-5).map((entry) => entry.status), [200, 404, 401, 200, 304]);
    assert.deepEqual(stats.log.at(-1).credentials, true);
    assert.equal(stats.log.find((entry) => entry.path.startsWith("/odd/")).path, "/odd/[redacted]");
    const text = JSON.stringify(stats);
    for (const keys of Object.values(DEMO)) for (const value of Object.values(keys)) assert.ok(!text.includes(value));
    assert.ok(!text.includes("wrong-key"));
  });
});

test("the same seed gives the same data, another seed gives other data", async () => {
  const bodyAfterRounds = async (seed) => {
    const server = await start("--seed", seed);
    for (let i = 0; i < 5; ++i) await server.control("change", {});
    const { body } = await get(server, HOME);
    await server.stop();
    return body.toString();
  };
  const first = await bodyAfterRounds("one");
  assert.equal(await bodyAfterRounds("one"), first);
  assert.notEqual(await bodyAfterRounds("two"), first);
});

test("data changes by itself every so often", async () => {
  const server = await start("--change-every=100ms");
  const first = await get(server, HOME);
  const changed = async () => !(await get(server, HOME)).body.equals(first.body);
  let tries = 0;
  while (!(await changed()) && ++tries < 200) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(tries < 200);
  await server.stop();
});

test("ends with code 0 on SIGTERM and SIGINT, even in mid-answer", async () => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    const server = await start();
    await server.control("fail", { path: "*", mode: "hang" });
    const hanging = get(server, "/list/a").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.child.kill(signal);
    assert.equal((await server.ended).code, 0);
    await hanging;
  }
});

test("keys come from --credentials; a broken file is named and not quoted", async () => {
  const dir = mkdtempSync(join(tmpdir(), "upstream-"));
  after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "keys.json");
  writeFileSync(file, JSON.stringify({ ...DEMO, "nyt-top": { "api-key": "another-made-up-key" } }));
  const server = await start("--credentials", file);
  assert.equal((await get(server, HOME)).status, 401);
  assert.equal((await get(server, "/svc/topstories/v2/home.json?api-key=another-made-up-key")).status, 200);
  await server.stop();
  writeFileSync(file, '{"nyt-top": {"api-key": "another-made-up-key"}}');
  const { code, err } = await run("--credentials", file).ended;
  assert.equal(code, 2);
  assert.match(err, /consumer-key/);
  assert.ok(!err.includes("another-made-up-key"));
});

test("--help teaches; a wrong option is refused with code 2", async () => {
  const help = await run("--help").ended;
  assert.equal(help.code, 0);
  assert.match(help.out, /--change-every[^]*curl/);
  const wrong = await run("--prot", "1").ended;
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /unknown option --prot/);
});
