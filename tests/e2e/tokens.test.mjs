// Tokens: who may come in and what they see, by the real curl, `ws` and an EventSource.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EventSource } from "eventsource";
import WebSocket from "ws";
import { curl, Daemon, eventually, seconds, startUpstream, temporaryFolder } from "./harness.mjs";

const upstream = await startUpstream();
const file = join(temporaryFolder(), "tokens.yaml");
const sha256 = (token) => createHash("sha256").update(token).digest("hex");
const bearer = (token) => ["-H", `Authorization: Bearer ${token}`];

// JSON is YAML.
function writeTokens(...tokens) {
  writeFileSync(file, JSON.stringify(tokens.map(({ token, ...more }) => ({ sha256: sha256(token), ...more }))));
  chmodSync(file, 0o640);
}
const ALL = { name: "everything", token: "open-sesame-1" };
const ONE = { name: "one channel", token: "open-sesame-2", channels: ["list?name=seen"] };

writeTokens(ALL, ONE);
const daemon = await new Daemon({ upstream, config: { auth: { tokens: file } } }).start();

test("everything but health needs a token, by curl", async () => {
  for (const path of ["/livez", "/readyz"]) assert.equal((await curl(`${daemon.url}${path}`)).status, 200);
  for (const path of ["/", "/channels", "/fetchers", "/channels/list?name=seen", "/events?channel=list"]) {
    const answer = await curl(`${daemon.url}${path}`);
    assert.equal(answer.status, 401, path);
    assert.match(answer.headers["www-authenticate"], /^Bearer/);
  }
  assert.equal((await curl(...bearer("wrong"), `${daemon.url}/channels`)).status, 401);
  assert.equal((await curl(...bearer(ALL.token), `${daemon.url}/channels`)).status, 200);
});

test("a token sees what its globs allow, and nothing else", async () => {
  await upstream.setList("seen", [{ id: "a" }]);
  await upstream.setList("unseen", [{ id: "b" }]);
  const get = async (token, path) => curl(...bearer(token), `${daemon.url}${path}`);
  assert.equal((await get(ONE.token, "/channels/list?name=seen")).status, 200);
  assert.equal((await get(ALL.token, "/channels/list?name=unseen")).status, 200);
  const refused = await get(ONE.token, "/channels/list?name=unseen");
  assert.equal(refused.status, 403);
  assert.equal(refused.json().code, "unauthorized");
  assert.deepEqual((await get(ONE.token, "/channels")).json().channels.map(({ id }) => id), ["list?name=seen"]);
  assert.equal((await get(ALL.token, "/channels")).json().channels.length, 2);
  assert.deepEqual((await get(ONE.token, "/fetchers")).json().fetchers.map(({ name }) => name), ["list"]);
  assert.equal((await get(ONE.token, "/fetchers/list-complete")).status, 403);
  // Nor does it hear which params the others take.
  const client = await daemon.subscriber({ headers: { authorization: `Bearer ${ONE.token}` } });
  for (const action of ["subscribe", "unsubscribe"]) {
    client.send({ action, channel: "list-complete", params: { other: "a" } });
    assert.equal((await client.waitFor("error", ({ request }) => request.action === action)).code, "unauthorized");
  }
  await client.close();
});

test("a WebSocket brings its token in a header or as a subprotocol", async () => {
  const withHeader = await daemon.subscriber({ headers: { authorization: `Bearer ${ONE.token}` } });
  await withHeader.subscribe("list", { name: "seen" });
  withHeader.send({ action: "subscribe", channel: "list", params: { name: "unseen" } });
  const { code } = await withHeader.waitFor("error");
  assert.equal(code, "unauthorized");
  await withHeader.close();

  const socket = new WebSocket(`${daemon.url.replace("http", "ws")}/channels`, [`bearer.${ALL.token}`, "restream"]);
  const first = await new Promise((resolve, reject) => {
    socket.on("message", (data) => resolve(JSON.parse(data)));
    socket.on("error", reject);
  });
  assert.equal(first.type, "ready");
  assert.equal(socket.protocol, "restream");
  socket.close();
  await assert.rejects(daemon.subscriber(), /401/);
});

test("an EventSource comes in with a ticket", async () => {
  const made = await curl("-X", "POST", ...bearer(ONE.token), `${daemon.url}/tickets`);
  assert.equal(made.status, 201);
  const { ticket, expires_in } = made.json();
  assert.equal(expires_in, 30);
  const source = new EventSource(`${daemon.url}/channels/list?name=seen&_ticket=${ticket}`);
  const types = [];
  for (const type of ["subscribed", "snapshot"]) source.addEventListener(type, () => types.push(type));
  await eventually(() => types.length === 2, { what: "subscribed and snapshot" });
  source.close();
  const again = await curl("-H", "Accept: text/event-stream", `${daemon.url}/channels/list?name=seen&_ticket=${ticket}`);
  assert.equal(again.status, 401);
});

test("a live token that expires closes with 1008; SIGHUP reads the file anew, and a bad one changes nothing", async () => {
  const soon = { name: "soon", token: "open-sesame-3", expires: new Date(Date.now() + seconds(6)).toISOString() };
  writeTokens(ALL, soon);
  daemon.signal("SIGHUP");
  await daemon.waitForLine(/tokens read anew/);
  assert.equal((await curl(...bearer(ONE.token), `${daemon.url}/channels`)).status, 401);
  const live = await daemon.subscriber({ headers: { authorization: `Bearer ${soon.token}` } });
  assert.deepEqual(await live.waitForClose(), { code: 1008, reason: "expired" });

  writeFileSync(file, "- name: a\n- nothing\n");
  daemon.signal("SIGHUP");
  await daemon.waitForLine(/tokens cannot be read.*tokens\.yaml:1/);
  assert.equal((await curl(...bearer(ALL.token), `${daemon.url}/channels`)).status, 200);
  assert.ok(!daemon.log().includes("open-sesame"), "a token is in the log");
});

test("a start with a bad file of tokens is refused, with the file and the line", async () => {
  const other = new Daemon({ upstream, config: { auth: { tokens: file } } });
  writeFileSync(file, `- name: a\n  sha256: ${sha256("x")}\n- name: b\n  sha: 5\n`);
  for (const words of [[], ["--check"]]) {
    const { code, text } = await other.refuse(...words);
    assert.equal(code, 2, text);
    assert.match(text, /tokens\.yaml:4: unknown key 'sha'/);
  }
  writeTokens(ALL);
  chmodSync(file, 0o644);
  const { code, text } = await other.refuse("--check");
  assert.equal(code, 2, text);
  assert.match(text, /chmod 640/);
});
