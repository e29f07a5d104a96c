// Wrong configurations, libraries that are no fetchers, and APIs that answer with anything but what they should.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { rootCertificates } from "node:tls";
import { Daemon, eventually, pluginFile, Replica, seconds, sleep, startDaemon, startUpstream, stopwatch } from "./harness.mjs";

const upstream = await startUpstream();

describe("configuration", () => {
  const WRONG = [
    ["an unknown key", "listen:\n  port: 0\n  prot: 8080\n", 3, /prot/],
    ["a wrong type", "listen:\n  port: [1]\n", 2, /port/],
    ["a number out of range", "listen:\n  port: 70000\n", 2, /port/],
    ["a duration that is none", "plugins:\n  sandbox: off\n  call_timeout: soon\n", 3, /call_timeout/],
    ["a size that is none", "limits: {}\nhttp:\n\n  body: big\n", 4, /body/],
    ["a word that is not one of the choices", "plugins:\n  sandbox: perhaps\n", 2, /sandbox/],
    ["a key given twice", "listen:\n  port: 0\n  port: 1\n", 3, /port/],
    ["broken YAML", "listen:\n  port: 0\n bad: [\n", null, /restream\.yaml/],
    ["an unknown key of a fetcher", "fetchers:\n  list:\n    poll_intervall: 5s\n", 3, /poll_intervall/],
  ];
  for (const [what, configText, line, words] of WRONG) {
    test(`${what} is refused with code 2, file and line`, async () => {
      const daemon = new Daemon({ configText, plugins: [] });
      for (const more of [[], ["--check"]]) {
        const { code, text } = await daemon.refuse(...more);
        assert.equal(code, 2, text);
        assert.match(text, words);
        if (line) assert.ok(text.includes(`${daemon.configFile}:${line}`), `line ${line} in: ${text}`);
      }
    });
  }

  test("a missing file is refused with code 2 and named", async () => {
    const daemon = new Daemon({ plugins: [] });
    rmSync(daemon.configFile);
    const { code, text } = await daemon.refuse();
    assert.equal(code, 2, text);
    assert.ok(text.includes(daemon.configFile));
  });

  test("--check accepts a good file, prints no key and leaves nothing behind", async () => {
    const daemon = new Daemon({ upstream });
    const { code, text } = await daemon.refuse("--check");
    assert.equal(code, 0, text);
  });

  test("certificates to trust that cannot be used are refused with code 2, and at a reload change nothing", async () => {
    const daemon = new Daemon({ upstream });
    const file = join(daemon.folder, "trusted.pem");
    daemon.config.http = { ca_file: file };
    for (const [words, text] of [[/No such file/], [/it is empty/, ""], [/no certificate/, "nonsense\n"]]) {
      if (text !== undefined) writeFileSync(file, text);
      daemon.writeConfig();
      for (const more of [[], ["--check"]]) {
        const refused = await daemon.refuse(...more);
        assert.equal(refused.code, 2, refused.text);
        assert.match(refused.text, /http\.ca_file: .*trusted\.pem cannot be used/);
        assert.match(refused.text, words);
      }
    }
    writeFileSync(file, rootCertificates[0]);
    await daemon.start();
    const other = join(daemon.folder, "other.pem");
    daemon.config.http = { ca_file: other };
    daemon.writeConfig();
    daemon.signal("SIGHUP");
    await daemon.waitForLine(/the configuration is refused.*http\.ca_file: .*other\.pem cannot be used/);
    writeFileSync(other, rootCertificates[1]);
    daemon.signal("SIGHUP");
    await daemon.waitForLine(/configuration read anew/);
    await daemon.stop();
  });

  test("an unknown option is refused with code 2", async () => {
    const { code } = await new Daemon({ upstream }).refuse("--no-such-option");
    assert.equal(code, 2);
  });
});

describe("the database", () => {
  for (const [what, damage] of [
    ["is no database", () => Buffer.from("this was a database once\n".repeat(500))],
    ["is cut off", (bytes) => bytes.subarray(0, bytes.length / 2)],
    ["has lost its middle", (bytes) => Buffer.concat([bytes.subarray(0, 4096), Buffer.alloc(8192, 0x5a), bytes.subarray(12288)])],
  ]) {
    test(`one that ${what} is refused with code 3 and a way out, and not written to`, async () => {
      const daemon = await startDaemon({ upstream });
      await upstream.setList("kept", [{ id: "a" }]);
      const client = await daemon.subscriber();
      await client.subscribe("list", { name: "kept" });
      await client.waitForItems("list", { name: "kept" }, ["a"]);
      await daemon.stop();
      const file = join(daemon.folder, "state/restream.db");
      const damaged = damage(readFileSync(file));
      writeFileSync(file, damaged);
      const { code, text } = await daemon.refuse();
      assert.equal(code, 3, text);
      assert.ok(text.includes(file), text);
      assert.match(text, /restore|move|backup/i);
      assert.ok(readFileSync(file).equals(damaged), "it was written to");
    });
  }
});

// The same library, but built (so it says) for contract version 9.
function ofAnotherAbi(from, to) {
  const bytes = readFileSync(from);
  const magic = Buffer.from("726573747265616d24000000", "hex"); // "restream", the descriptor's size of 36
  const at = bytes.indexOf(magic);
  assert.ok(at > 0 && bytes.indexOf(magic, at + 1) < 0, "the descriptor is in the file exactly once");
  bytes.writeUInt16LE(9, at + magic.length);
  writeFileSync(to, bytes);
}

describe("plugins", () => {
  test("what is no fetcher is refused by name and reason, and the others work", async () => {
    const daemon = new Daemon({ upstream, plugins: ["list"] });
    const at = (name) => join(daemon.pluginFolder, name);
    const someLibrary = process.report.getReport().sharedObjects.find((file) => /\/libm[.-]/.test(file));
    copyFileSync(someLibrary, at("not-a-fetcher.so"));
    writeFileSync(at("text.so"), "this is not a library\n");
    writeFileSync(at("empty.so"), "");
    writeFileSync(at("half.so"), readFileSync(pluginFile("list")).subarray(0, 20_000));
    ofAnotherAbi(pluginFile("list"), at("future.so"));
    symlinkSync(pluginFile("list-complete"), at("link.so"));
    mkdirSync(at("folder.so"));
    for (const name of ["not-a-fetcher", "text", "empty", "half", "future"]) chmodSync(at(`${name}.so`), 0o644);
    await daemon.start();

    await upstream.setList("a", [{ id: "1" }]);
    const client = await daemon.subscriber();
    await client.subscribe("list", { name: "a" });
    await client.waitForItems("list", { name: "a" }, ["1"]);
    for (const name of ["not-a-fetcher", "text", "empty", "half", "future", "link"]) {
      await daemon.waitForLine(new RegExp(`(plugin|file)=\\S*${name}\\b`));
    }
    await daemon.waitForLine(/plugin refused.*half\.so.*cut short/);
    const about = daemon.log().split("\n").filter((line) => line.includes("future")).join("\n");
    assert.match(about, /\b9\.0\b/, "the refusal names the plugin's version");
    assert.match(about, /\b1\.0\b/, "the refusal names our version");
    await daemon.stop();
  });
});

describe("APIs", async () => {
  // Quick deadlines and a small limit, so that nothing takes long to go wrong; a sixth of the time is the host's, to end
  // a call in, and no stall of the machine should take all of that.
  const config = { plugins: { call_timeout: "5s" }, http: { body: "1MiB" } };
  const daemon = await startDaemon({ upstream, config });
  const elsewhere = await startUpstream();

  // A list that is followed and known, for one fault each.
  async function followed(name, items = [{ id: "a", n: 1 }, { id: "b", n: 1 }]) {
    await upstream.setList(name, items);
    const client = await daemon.subscriber();
    await client.subscribe("list-complete", { name });
    await client.waitForItems("list-complete", { name }, items.map(({ id }) => id));
    await client.waitFor("status", ({ state }) => state === "live");
    client.forget();
    return client;
  }

  const TOO_LARGE = /larger than 1048576 bytes/;
  const FAULTS = [
    ["500", "status", { status: 500 }, "failing", ["upstream_error"]],
    ["404", "status", { status: 404 }, "failing", ["upstream_error"]],
    ["401", "status", { status: 401 }, "failing", ["unauthorized"]],
    ["403", "status", { status: 403 }, "failing", ["unauthorized"]],
    ["503 with Retry-After", "status", { status: 503, headers: { "Retry-After": "1" } }, null, null],
    ["HTML", "html", {}, "failing", ["bad_result"]],
    ["truncated JSON", "truncated", {}, "failing", ["bad_result"]],
    ["a body cut off", "cut", {}, "failing", ["unreachable", "upstream_error", "bad_result"]],
    ["very deep JSON", "deep", {}, "failing", ["bad_result"]],
    ["a connection reset", "reset", {}, "failing", ["unreachable"]],
    ["no answer", "hang", {}, "failing", ["timeout"]],
    ["an answer that drips", "drip", {}, "failing", ["timeout"]],
    ["an answer without an end", "endless", {}, "failing", ["bad_result"], TOO_LARGE],
    ["a gzip bomb", "gzip_bomb", {}, "failing", ["bad_result"], TOO_LARGE],
    ["a redirect to another origin", "redirect", { location: `${elsewhere.url}/list/a` }, "failing", null],
    ["a redirect to a file", "redirect", { location: "file:///etc/passwd" }, "failing", null],
    ["a redirect to itself for ever", "redirect", {}, "failing", null],
  ];
  for (const [what, mode, more, state, reasons, words = /.{6}/] of FAULTS) {
    test(`${what}: the poll fails, everything is kept, and it goes on by itself`, async () => {
      const name = `fault-${what.replaceAll(" ", "-")}`;
      const client = await followed(name);
      const { json: before } = await daemon.get("/fetchers/list-complete");
      await upstream.fail(`/list/${name}`, mode, more);
      const status = await client.waitFor("status", (message) => message.state !== "live", { within: seconds(15) });
      if (state) assert.equal(status.state, state, JSON.stringify(status));
      if (reasons) assert.ok(reasons.includes(status.reason), JSON.stringify(status));
      assert.match(status.message, words);
      const late = await daemon.subscriber();
      await late.subscribe("list-complete", { name });
      assert.deepEqual((await late.waitFor("snapshot")).items.map(({ id }) => id), ["a", "b"]);
      await late.close();

      await upstream.heal();
      await upstream.setList(name, [{ id: "a", n: 2 }, { id: "b", n: 1 }]);
      await client.waitFor("status", (message) => message.state === "live", { within: seconds(20) });
      await client.waitFor("updated_item", ({ id }) => id === "a");
      await client.expectNone("new_item", 0);
      await client.expectNone("removed_item", 0);
      const { json: now } = await daemon.get("/fetchers/list-complete");
      assert.equal(now.health.restarts, before.health.restarts, "the fetcher host was not killed for it");
      await client.close();
    });
  }

  test("nothing was sent to where a redirect pointed", async () => {
    assert.equal((await elsewhere.stats()).total, 0);
  });

  test("one channel's hanging API delays no other channel", async () => {
    await upstream.setList("stuck", []);
    const healthy = await followed("healthy");
    await upstream.fail("/list/stuck", "hang");
    const stuck = await daemon.subscriber();
    await stuck.subscribe("list-complete", { name: "stuck" });
    const times = [];
    for (let n = 2; n <= 6; ++n) {
      const time = stopwatch();
      await upstream.setList("healthy", [{ id: "a", n }, { id: "b", n: 1 }]);
      await healthy.waitFor("updated_item", ({ item }) => item.n === n);
      times.push(time());
    }
    // Who waits for one that hangs waits for the 5 s of its call, each time.
    assert.ok(times.sort((a, b) => a - b)[2] < Math.min(seconds(2.5), 4000), `${times} ms`);
    await upstream.heal();
    await healthy.close();
    await stuck.close();
  });

  test("an unreachable API is failing: unreachable", async () => {
    const config = { fetchers: { list: { origin: "http://127.0.0.1:1" } } };
    const lonely = await startDaemon({ upstream, config });
    const client = await lonely.subscriber();
    await client.subscribe("list", { name: "a" });
    const { reason } = await client.waitFor("status", ({ state }) => state === "failing");
    assert.equal(reason, "unreachable");
    await lonely.stop();
  });

  test("a private address is refused unless the configuration allows it", async () => {
    const strict = await startDaemon({ upstream, config: { fetchers: { list: { allow_private: false } } } });
    await upstream.setList("private", []);
    const client = await strict.subscriber();
    await client.subscribe("list", { name: "private" });
    const { message } = await client.waitFor("status", ({ state }) => state === "failing");
    assert.match(message, /private|allow_private/);
    assert.deepEqual(await upstream.requests("/list/private"), []);
    await strict.stop();
  });

  test("items without an id are left out; over half of them fail the poll", async () => {
    await upstream.setList("few", [{ id: "a" }, { no: "id" }, { id: "b" }, { id: null }, { id: "c" }]);
    const client = await daemon.subscriber();
    await client.subscribe("list-complete", { name: "few" });
    await client.waitFor("status", ({ state }) => state === "live");
    const replica = new Replica("list-complete", { name: "few" });
    await eventually(() => replica.follow(client).items.size === 3, { what: "three items" });
    await upstream.setList("few", [{ id: "a" }, { no: "id" }, { no: "id" }, { no: "id" }]);
    const { reason } = await client.waitFor("status", ({ state }) => state === "failing");
    assert.equal(reason, "bad_result");
    await sleep(seconds(2));
    assert.equal(replica.follow(client).items.size, 3, "nothing was removed");
    await client.close();
  });

  test("an id that is there twice gives one event, and the last one counts", async () => {
    await upstream.setList("twice", [{ id: "a", n: 1 }, { id: "b", n: 1 }, { id: "a", n: 2 }]);
    const client = await daemon.subscriber();
    await client.subscribe("list-complete", { name: "twice" });
    await client.waitFor("new_item", ({ id }) => id === "b");
    await client.waitFor("new_item", ({ id, item }) => id === "a" && item.n === 2);
    await client.expectNone("new_item", seconds(1.3));
    await client.expectNone("updated_item", 0);
    await client.close();
  });

  test("a list that is empty once removes nothing; empty twice, everything", async () => {
    const client = await followed("emptied");
    const before = (await upstream.requests("/list/emptied")).length;
    await upstream.fail("/list/emptied", "empty_list", { times: 1 });
    await eventually(async () => (await upstream.requests("/list/emptied")).length >= before + 3, { what: "three polls" });
    await client.expectNone("removed_item", 200);
    await client.expectNone("new_item", 0);
    await upstream.setList("emptied", []);
    await client.waitFor("removed_item", ({ id }) => id === "a");
    await client.waitFor("removed_item", ({ id }) => id === "b");
    await client.close();
  });

  test("hostile params reach no other path", async () => {
    for (const name of ["../../svc/x", "..%2f..", "a?b=c", "a#b", "@127.0.0.1:1/", "a b"]) {
      const client = await daemon.subscriber();
      client.send({ action: "subscribe", channel: "list", params: { name } });
      await client.waitFor(null, ({ type }) => type === "error" || type === "status");
      await client.close();
    }
    await sleep(300);
    const { log } = await upstream.stats();
    for (const { path } of log) assert.match(path, /^\/list\/[^/?#@ ]+$/);
  });
});
