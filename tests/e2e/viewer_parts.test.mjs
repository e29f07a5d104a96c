// The viewer's parts that are pure.
import assert from "node:assert/strict";
import { test } from "node:test";
import jsonPatch from "fast-json-patch";
import { channelId, readFragment, writeFragment } from "../../web/channels.mjs";
import { commandsFor } from "../../web/commands.mjs";
import { waitBefore } from "../../web/connection.mjs";
import { Feed } from "../../web/feed.mjs";
import { changesOf, jsonPieces } from "../../web/json.mjs";
import { Rate } from "../../web/rate.mjs";

test("a channel's id is the server's: names sorted, all but the unreserved encoded", () => {
  assert.equal(channelId("a", {}), "a");
  assert.equal(channelId("a", { z: "books/review", b: "é'(*)!~-._" }), "a?b=%C3%A9%27%28%2A%29%21~-._&z=books%2Freview");
});

test("a fragment gives back what was written, and nothing for what it cannot read", () => {
  const list = [{ channel: "a", params: { x: "1;2&3=4?5#6%" } }, { channel: "b", params: {} }];
  assert.deepEqual(readFragment(`#${writeFragment(list)}`), list);
  assert.deepEqual(readFragment("#%zz;b?x;?y=1;c?x=%"), []);
  assert.deepEqual(readFragment(""), []);
});

test("changes name what was there before each step", () => {
  const before = { a: 1, list: [1, 2, 3], "x/y~": { deep: true } };
  const patch = [
    { op: "replace", path: "/a", value: { b: 1 } },
    { op: "replace", path: "/a/b", value: 2 },
    { op: "remove", path: "/list/0" },
    { op: "replace", path: "/list/0", value: 9 },
    { op: "add", path: "/list/-", value: 4 },
    { op: "remove", path: "/x~1y~0/deep" },
    { op: "add", path: "/__proto__", value: { polluted: 1 } },
  ];
  const changes = changesOf(before, patch);
  assert.deepEqual(changes.map((change) => change.before), [1, 1, 1, 2, undefined, true, undefined]);
  assert.deepEqual(changes[0].after, { b: 1 });
  assert.deepEqual(before, { a: 1, list: [1, 2, 3], "x/y~": { deep: true } });
  assert.equal({}.polluted, undefined);
  // Of an item that is not known, only what came is.
  assert.deepEqual(changesOf(undefined, patch.slice(0, 1)), [{ op: "replace", path: "/a", after: { b: 1 } }]);
});

test("the full text is JSON, with the changed members marked", () => {
  const value = { a: [1, { b: null }], c: {}, d: [], e: "x" };
  const pieces = jsonPieces(value, new Set(["/a/1/b", "/e"]));
  assert.equal(pieces.map(({ text }) => text).join(""), JSON.stringify(value, null, 2));
  assert.deepEqual(pieces.filter(({ marked }) => marked).map(({ text }) => text), ['"b": null', '"e": "x"']);
});

test("a feed follows its channel: snapshot, events, and a position only once it can be resumed from", () => {
  const about = { channel: "a", params: {} };
  const feed = new Feed("a", {});
  feed.begin({ ...about, position: "e:7", resumed: false }, 0);
  assert.equal(feed.position, null);
  feed.apply({ type: "snapshot", ...about, position: "e:7", items: [{ id: "1", item: { n: 1 } }, { id: "2", item: { n: 2 } }] }, 0);
  assert.equal(feed.position, "e:7");
  assert.deepEqual(feed.latest(10).map(({ id }) => id), ["1", "2"]);
  const patch = jsonPatch.compare({ n: 2 }, { n: 3 });
  feed.apply({ type: "updated_item", ...about, position: "e:8", id: "2", item: { n: 3 }, patch }, 0);
  feed.apply({ type: "removed_item", ...about, position: "e:9", id: "1" }, 0);
  feed.apply({ type: "new_item", ...about, position: "e:10", id: "3", item: { n: 4 } }, 0);
  assert.deepEqual(feed.latest(10).map(({ id, kind }) => [id, kind]), [["3", "new"], ["1", "removed"], ["2", "updated"]]);
  assert.deepEqual([feed.size, feed.position], [2, "e:10"]);
  feed.begin({ ...about, position: "e:10", resumed: true }, 0);
  assert.equal(feed.position, "e:10");
  assert.equal(feed.size, 2);
});

test("a feed of a very long channel remembers the latest and counts the rest", () => {
  const feed = new Feed("a", {});
  const add = (n) => feed.apply({ type: "new_item", channel: "a", params: {}, position: `e:${n}`, id: `${n}`, item: {} }, 0);
  for (let n = 1; n <= 2500; ++n) add(n);
  assert.equal(feed.size, 2500);
  assert.equal(feed.latest(5000).length, 2000);
  assert.equal(feed.beyond(200), 2300);
  feed.apply({ type: "removed_item", channel: "a", params: {}, position: "e:2501", id: "1" }, 0);
  assert.equal(feed.size, 2499);
});

test("rates are counted by the second and the minute, and pass with time", () => {
  const rate = new Rate();
  const now = 1_000_000_000_000;
  rate.add(now);
  rate.add(now);
  rate.add(now + 2000);
  assert.deepEqual(rate.counts("second", now + 2000).slice(-3), [2, 0, 1]);
  assert.deepEqual(rate.counts("second", now + 62_000), new Array(60).fill(0));
  assert.equal(rate.counts("minute", now + 62_000).reduce((sum, count) => sum + count), 3);
});

test("waits between attempts grow to half a minute, with jitter", () => {
  assert.deepEqual([waitBefore(0, 0), waitBefore(0, 1), waitBefore(20, 1)], [250, 500, 30_000]);
});

test("a line to paste never shows a token and never lets a value out of its quotes", () => {
  const params = { x: "'; reboot; '\u0080\u2028" };
  for (const { name, text } of commandsFor({ channel: "a", params }, "https://host/below/", true)) {
    if (name === "JavaScript") assert.match(text, /\["restream", "bearer\." \+ token\]/);
    else assert.match(text, /Bearer \$RESTREAM_TOKEN"/);
    assert.doesNotMatch(text, /'; reboot|[\u0080\u2028]/);
    assert.match(text, /https:\/\/host\/below\/channels|wss:\/\/host\/below\/channels/);
  }
});
