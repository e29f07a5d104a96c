// What becomes of clients that break the WebSocket protocol, and of browsers from elsewhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sleep, startDaemon, startUpstream, Subscriber } from "./harness.mjs";
import { OPCODE, RawWebSocket } from "./raw_websocket.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, config: { listen: { origins: ["https://friend.example"] } } });
await upstream.setList("a", [{ id: "1" }]);

test("a binary frame is answered with bad_request, and the connection stays", async () => {
  const client = await daemon.subscriber();
  client.send(Buffer.from(JSON.stringify({ action: "unsubscribe_all" })));
  assert.equal((await client.waitFor("error")).code, "bad_request");
  await client.subscribe("list", { name: "a" });
});

test("a message of 64 KiB is read, one byte more closes with 1009", async () => {
  const client = await daemon.subscriber();
  const request = JSON.stringify({ action: "unsubscribe_all" });
  client.send(request.padEnd(64 * 1024, " "));
  await client.waitFor("unsubscribed_all");
  client.send(request.padEnd(64 * 1024 + 1, " "));
  assert.equal((await client.waitForClose()).code, 1009);
});

test("the limit holds for a message in fragments and for a length of 2^62 as well", async () => {
  const fragmented = await RawWebSocket.connect(daemon.port);
  fragmented.send(OPCODE.text, "x".repeat(40_000), { fin: false });
  fragmented.send(OPCODE.continuation, "x".repeat(40_000), { fin: false });
  assert.equal((await fragmented.waitForClose()).code, 1009);
  const huge = await RawWebSocket.connect(daemon.port);
  huge.send(OPCODE.text, "x", { length: 2n ** 62n });
  assert.equal((await huge.waitForClose()).code, 1009);
});

test("a message in fragments with a ping in between is one message", async () => {
  const raw = await RawWebSocket.connect(daemon.port);
  raw.send(OPCODE.text, '{"action":"unsub', { fin: false });
  raw.send(OPCODE.ping, "are you there");
  raw.send(OPCODE.continuation, 'scribe_all"}');
  while (!raw.frames.some(({ payload }) => payload.includes("unsubscribed_all"))) await sleep(10);
  assert.ok(raw.frames.some(({ opcode, payload }) => opcode === OPCODE.pong && payload.toString() === "are you there"));
  raw.destroy();
});

const BROKEN = [
  ["an unmasked frame", 1002, (raw) => raw.send(OPCODE.text, "{}", { mask: false })],
  ["a reserved opcode", 1002, (raw) => raw.send(3, "{}")],
  ["a reserved control opcode", 1002, (raw) => raw.send(11, "")],
  ["a reserved bit", 1002, (raw) => raw.send(OPCODE.text, "{}", { rsv: 2 })],
  ["an oversized control frame", 1002, (raw) => raw.send(OPCODE.ping, "x".repeat(126))],
  ["a fragmented control frame", 1002, (raw) => raw.send(OPCODE.ping, "x", { fin: false })],
  ["a continuation of nothing", 1002, (raw) => raw.send(OPCODE.continuation, "x")],
  ["bad UTF-8", 1007, (raw) => raw.send(OPCODE.text, Buffer.from([0x7b, 0xc3, 0x28, 0x7d]))],
];
for (const [what, code, send] of BROKEN) {
  test(`${what} closes with ${code}`, async () => {
    const raw = await RawWebSocket.connect(daemon.port);
    assert.equal(raw.handshake.status, 101);
    send(raw);
    assert.equal((await raw.waitForClose()).code, code);
  });
}

test("nothing comes after the daemon's close frame", async () => {
  const raw = await RawWebSocket.connect(daemon.port);
  raw.send(OPCODE.text, JSON.stringify({ action: "subscribe", channel: "list", params: { name: "a" } }));
  raw.send(OPCODE.text, "{}", { mask: false });
  await raw.waitForClose();
  assert.equal(raw.frames.findIndex(({ opcode }) => opcode === OPCODE.close), raw.frames.length - 1);
});

test("a client's close is answered with its own code", async () => {
  const raw = await RawWebSocket.connect(daemon.port);
  raw.send(OPCODE.close, Buffer.from([0x03, 0xe8]));
  while (!raw.frames.some(({ opcode }) => opcode === OPCODE.close)) await sleep(10);
  const close = raw.frames.find(({ opcode }) => opcode === OPCODE.close);
  assert.equal(close.payload.readUInt16BE(0), 1000);
  raw.destroy();
});

test("a foreign origin and null are refused with 403 before the upgrade", async () => {
  for (const origin of ["https://foreign.example", "null", "http://127.0.0.1.foreign.example"]) {
    const client = new Subscriber(daemon.url, { origin });
    await assert.rejects(client.opened, /Unexpected server response: 403/, origin);
  }
});

test("our own origin, an allowed one and none at all are welcome", async () => {
  for (const origin of [daemon.url, "https://friend.example", undefined]) {
    const client = await daemon.subscriber({ origin });
    await client.close();
  }
});

test("a broken client is nobody else's trouble", async () => {
  const good = await daemon.subscriber();
  await good.subscribe("list", { name: "a" });
  for (const [, , send] of BROKEN) {
    const raw = await RawWebSocket.connect(daemon.port);
    send(raw);
    raw.destroy();
  }
  await upstream.setList("a", [{ id: "1", n: "changed" }]);
  await good.waitFor("updated_item", ({ item }) => item.n === "changed");
});
