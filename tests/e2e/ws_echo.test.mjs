// How WebSockets are spoken: the frame classes of the daemon as an echo server, against npm `ws` and byte by byte.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import WebSocket from "ws";
import { eventually, Process, seconds } from "./processes.mjs";
import { OPCODE, RawWebSocket } from "./raw_websocket.mjs";

const echo = new Process(`${process.env.RESTREAM_BUILD}/tests/ws-echo/ws-echo`, []);
const [port] = await echo.waitForLine(/^[0-9]+$/m);
const MiB = 1024 * 1024;

async function connect(options) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { maxPayload: 64 * MiB, ...options });
  await once(socket, "open");
  return socket;
}

async function sentBack(socket, message) {
  const answer = once(socket, "message", { signal: AbortSignal.timeout(seconds(60)) });
  socket.send(message);
  const [data, isBinary] = await answer;
  assert.equal(isBinary, Buffer.isBuffer(message));
  assert.ok(data.equals(Buffer.from(message)), `${data.length} bytes come back, not those sent`);
}

for (const perMessageDeflate of [false, { threshold: 0 }, { threshold: 0, clientMaxWindowBits: 9 }]) {
  test(`messages of every size come back as they were, compression: ${JSON.stringify(perMessageDeflate)}`, async () => {
    const socket = await connect({ perMessageDeflate });
    assert.equal(socket.extensions !== "", perMessageDeflate !== false);
    for (const size of [0, 1, 16, 64, 125, 126, 127, 128, 256, 4096, 65_535, 65_536, 131_072, MiB, 16 * MiB]) {
      await sentBack(socket, "ä".repeat(size / 2).padEnd(size / 2, "x"));
      await sentBack(socket, size > MiB ? Buffer.alloc(size, 7) : randomBytes(size));
    }
    socket.close(1000, "enough");
    assert.equal((await once(socket, "close"))[0], 1000);
  });
}

test("a thousand messages at once come back in their order, compressed or not", async () => {
  for (const perMessageDeflate of [false, { threshold: 0 }]) {
    const socket = await connect({ perMessageDeflate });
    const heard = [];
    socket.on("message", (data) => heard.push(data.toString()));
    const sent = Array.from({ length: 1000 }, (_, i) => `${i}`.repeat(1 + (i % 300)));
    for (const message of sent) socket.send(message);
    await eventually(() => heard.length === sent.length, { within: seconds(20), what: "all messages" });
    assert.deepEqual(heard, sent);
    socket.terminate();
  }
});

test("a message of more than 16 MiB closes with 1009, sent plain or packed", async () => {
  for (const perMessageDeflate of [false, { threshold: 0 }]) {
    const socket = await connect({ perMessageDeflate });
    socket.on("error", () => {});
    socket.send(Buffer.alloc(16 * MiB + 1));
    assert.equal((await once(socket, "close"))[0], 1009);
  }
});

const heard = (raw, opcode) => raw.frames.filter((frame) => frame.opcode === opcode).map(({ payload }) => `${payload}`);

test("fragments, pings between them and bytes that come one by one are what they would be at once", async () => {
  const raw = await RawWebSocket.connect(port);
  raw.socket.setNoDelay(true);
  const write = raw.socket.write.bind(raw.socket);
  const bytes = [];
  raw.socket.write = (data) => bytes.push(...data);
  raw.send(OPCODE.text, "fra", { fin: false });
  raw.send(OPCODE.ping, "between");
  raw.send(OPCODE.continuation, "", { fin: false });
  raw.send(OPCODE.continuation, "gments");
  raw.send(OPCODE.ping, "x".repeat(125));
  raw.send(OPCODE.pong, "nobody asked");
  for (const byte of bytes) {
    write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await eventually(() => raw.frames.length === 3, { what: "three answers" });
  assert.deepEqual(heard(raw, OPCODE.pong), ["between", "x".repeat(125)]);
  assert.deepEqual(heard(raw, OPCODE.text), ["fragments"]);
  raw.destroy();
});

const breaks = {
  "a ping of 126 bytes": [1002, (raw) => raw.send(OPCODE.ping, "x".repeat(126))],
  "a ping in fragments": [1002, (raw) => raw.send(OPCODE.ping, "x", { fin: false })],
  "a continuation of nothing": [1002, (raw) => raw.send(OPCODE.continuation, "x")],
  "a message within a message": [1002, (raw) => (raw.send(1, "x", { fin: false }), raw.send(1, "y"))],
  "an unmasked frame": [1002, (raw) => raw.send(OPCODE.text, "x", { mask: false })],
  "a close of one byte": [1002, (raw) => raw.send(OPCODE.close, "x")],
  "text that is not UTF-8": [1007, (raw) => raw.send(OPCODE.text, Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]))],
  "text that stops being UTF-8 in its first fragment": [1007, (raw) => raw.send(1, Buffer.from([0xf4, 0x90]), { fin: false })],
  "a close reason that is not UTF-8": [1007, (raw) => raw.send(OPCODE.close, Buffer.from([3, 0xe8, 0xff]))],
};
for (const rsv of [1, 2, 3, 4, 5, 6, 7]) breaks[`reserved bits ${rsv}`] = [1002, (raw) => raw.send(1, "x", { rsv })];
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) breaks[`opcode ${opcode}`] = [1002, (raw) => raw.send(opcode, "x")];
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
  breaks[`close code ${code}`] = [1002, (raw) => raw.send(OPCODE.close, Buffer.from([code >> 8, code & 0xff]))];
test("what breaks the protocol is closed with the code that says how", async () => {
  for (const [what, [code, send]] of Object.entries(breaks)) {
    const raw = await RawWebSocket.connect(port);
    send(raw);
    assert.equal((await raw.waitForClose()).code, code, what);
  }
});

test("a close is answered with its own code", async () => {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
    const raw = await RawWebSocket.connect(port);
    raw.send(OPCODE.close, Buffer.from([code >> 8, code & 0xff, ..."bye".split("").map((c) => c.charCodeAt(0))]));
    assert.equal((await raw.waitForClose()).code, code);
  }
});
