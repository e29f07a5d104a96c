// permessage-deflate, with clients that nobody here wrote: npm `ws`, and what it sends and takes on the wire.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import zlib from "node:zlib";
import { SLOWNESS, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const config = { fetchers: { "list-complete": { poll_interval: "200ms" } } };
const daemon = await startDaemon({ upstream, config: { ...config, listen: { compression: true } } });
const plain = await startDaemon({ upstream, config });

const text = "the same words again and again ".repeat(200);
const items = (n) => [{ id: "a", n, text }, { id: "b", n }];
const compressing = { options: { perMessageDeflate: { threshold: 0, clientNoContextTakeover: true } } };

test("a client that offers permessage-deflate gets the same messages in fewer bytes, and is understood", async () => {
  const params = { name: "packed" };
  await upstream.setList("packed", items(0));
  const packed = await daemon.subscriber(compressing);
  const open = await daemon.subscriber({ options: { perMessageDeflate: false } });
  for (const client of [packed, open]) {
    await client.subscribe("list-complete", params);
    await client.waitForItems("list-complete", params, ["a", "b"]);
  }
  assert.equal(packed.socket.extensions, "permessage-deflate");
  assert.equal(open.socket.extensions, "");
  for (let n = 1; n <= 5; ++n) {
    await upstream.setList("packed", items(n));
    for (const client of [packed, open]) await client.waitFor("updated_item", ({ id, item }) => id === "b" && item.n === n);
  }
  const events = (client) => client.of("list-complete", params).filter(({ type }) => type === "updated_item");
  assert.deepEqual(events(packed), events(open));
  const received = (client) => client.socket._socket.bytesRead;
  assert.ok(received(packed) * 3 < received(open), `${received(packed)} bytes beside ${received(open)}`);
  // What the client says is compressed as well: a long message, understood.
  packed.send(JSON.stringify({ action: "unsubscribe_all" }).padEnd(50_000, " "));
  assert.equal((await packed.waitFor("unsubscribed_all")).count, 1);
  await packed.close();
  await open.close();
});

test("it is off by default, and then a compressed frame is a fault", async () => {
  const client = await plain.subscriber(compressing);
  assert.equal(client.socket.extensions, "");
  client.socket._socket.write(Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0]));
  assert.equal((await client.waitForClose()).code, 1002);
});

test("a message that unpacks to more than the limit closes with 1009, and the daemon's memory stays flat", async () => {
  const bomb = zlib.deflateRawSync(Buffer.alloc(60_000_000), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
  assert.ok(bomb.length < 60_000);
  const peak = () => Number(/VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))[1]);
  const before = peak();
  const clients = await Promise.all(Array.from({ length: 20 }, () => daemon.subscriber(compressing)));
  const head = Buffer.from([0xc1, 0xfe, bomb.length >> 8, bomb.length & 0xff, 0, 0, 0, 0]);
  for (const client of clients) client.socket._socket.write(Buffer.concat([head, bomb]));
  for (const client of clients) assert.equal((await client.waitForClose()).code, 1009);
  // A sanitizer keeps freed memory for a while. Unpacked, the bombs have 1.2 GB.
  const grown = peak() - before;
  assert.ok(grown < (SLOWNESS > 1 ? 100_000 : 8_000), `${grown} KiB more`);
});

test("a compressed message that cannot be read closes with 1007", async () => {
  const client = await daemon.subscriber(compressing);
  client.socket._socket.write(Buffer.from([0xc1, 0x84, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
  assert.equal((await client.waitForClose()).code, 1007);
});
