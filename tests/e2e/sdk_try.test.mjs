// restream-plugin try: one fetch through the real host and HTTP client, recordings without keys, and --watch.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, describe, test } from "node:test";
import { BUILD, eventually, pluginFile, Process, run, seconds, startUpstream, temporaryFolder } from "./harness.mjs";

const TOOL = join(BUILD, "bin/restream-plugin");
const KEYS = fileURLToPath(new URL("../upstream/demo-keys.json", import.meta.url));
const demo = JSON.parse(readFileSync(KEYS, "utf8"));
// In a session of its own: where there is a terminal, it would ask there for keys.
const tool = (...words) => run("setsid", ["--wait", TOOL, ...words], { within: seconds(60) });

describe("restream-plugin try", async () => {
  const folder = temporaryFolder();
  const upstream = await startUpstream();
  after(() => upstream.stop());
  const local = ["--origin", upstream.url, "--allow-private"];
  const fetchNyt = (...words) => tool("try", pluginFile("nyt-top"), "--params", '{"section": "world"}', ...words);

  test("prints items, requests without the key, and times", async () => {
    const { code, out, err } = await fetchNyt("--keys", KEYS, ...local);
    assert.equal(code, 0, err);
    assert.match(out, /channel {3}nyt-top\?section=world/);
    assert.match(out, /request {3}GET https:\/\/api\.nytimes\.com\/svc\/topstories\/v2\/world\.json\?api-key=\[redacted\] {2}200, \d+ bytes, \d+ ms/);
    assert.match(out, /items {5}20\n/);
    assert.match(out, /time {6}[\d.]+ ms \(host start and metadata \d+ ms, fetch [\d.]+ ms, of it HTTP \d+ ms\)/);
    const items = out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    assert.equal(items.length, 20);
    assert.ok(!out.includes(demo["nyt-top"]["api-key"]));
  });

  test("prints one JSON object with --json, the keys coming by standard input", async () => {
    const started = new Process(TOOL, ["try", pluginFile("nyt-top"), "--json", "--keys", "-", ...local], { input: JSON.stringify(demo) });
    assert.equal((await started.waitForEnd(seconds(60))).code, 0);
    const seen = JSON.parse(started.output());
    assert.equal(seen.channel, "nyt-top");
    assert.deepEqual(seen.params, { section: "home" });
    assert.equal(seen.failure, null);
    assert.ok(seen.items.length > 10);
    assert.equal(seen.items[0].id, seen.items[0].item.uri);
    assert.equal(seen.requests[0].status, 200);
    assert.ok(seen.time_us.total >= seen.time_us.fetch);
  });

  test("a failure says what subscribers would hear, and ends with 1", async () => {
    const wrong = join(folder, "wrong.json");
    writeFileSync(wrong, JSON.stringify({ "nyt-top": { "api-key": "not-the-right-key" } }));
    const { code, out } = await fetchNyt("--keys", wrong, ...local);
    assert.equal(code, 1);
    assert.match(out, /failed {4}failing: unauthorized: the API answered 401/);
    assert.ok(!out.includes("not-the-right-key"));
  });

  test("an API's words are shown as text: they steer no terminal", async () => {
    const file = join(folder, "rude.json");
    const url = "https://api.twitter.com/2/tweets/1?tweet.fields=author_id%2Ccreated_at%2Clang%2Cpublic_metrics";
    const rude = "\u001b]0;rude\u0007 \u009b31m \u007f\nwords";
    for (const body_json of [{ errors: [{ type: "x", detail: rude }] }, { data: { id: "1", text: rude } }]) {
      const exchanges = [{ request: { url }, response: { status: 200, headers: { "x-rude": rude }, body_json } }];
      writeFileSync(file, JSON.stringify({ restream_recording: 1, fetcher: "twitter-status", params: { id: "1" }, exchanges }));
      const { out, err } = await tool("try", pluginFile("twitter-status"), "--replay", file);
      assert.match(out, /^(failed .*|\{"id":"1".*)rude[^\n]*words/m, err);
      assert.doesNotMatch(out + err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    }
  });

  test("the daemon's rules hold: no private address, no other origin", async () => {
    const { code, out } = await fetchNyt("--keys", KEYS, "--origin", upstream.url);
    assert.equal(code, 1);
    assert.match(out, /refused: .*private/);
    const elsewhere = await tool("try", pluginFile("careless"), "--config", '{"fault": "elsewhere"}', "--keys", join(folder, "careless.json"), ...local);
    assert.equal(elsewhere.code, 2, "its keys file is not there");
    writeFileSync(join(folder, "careless.json"), JSON.stringify({ careless: { token: "a-token-of-mine" } }));
    const refused = await tool("try", pluginFile("careless"), "--config", '{"fault": "elsewhere"}', "--keys", join(folder, "careless.json"), ...local);
    assert.equal(refused.code, 1);
    assert.match(refused.out, /request {3}GET https:\/\/example\.org\/list\/a {2}refused/);
  });

  test("the plugin runs in the sandbox, unless it is switched off", async () => {
    const outcomeOf = async (attempt, ...words) => {
      const { code, out, err } = await tool("try", pluginFile("burglar"), "--params", JSON.stringify(attempt), "--json", ...words);
      assert.equal(code, 0, out + err);
      return JSON.parse(out).items[0].item.outcome;
    };
    for (const [attempt, refused] of [
      [{ attempt: "socket" }, "Function not implemented"],
      [{ attempt: "read", at: "/etc/passwd" }, "Permission denied"],
      [{ attempt: "at-load" }, "Permission denied"],
    ]) {
      assert.equal(await outcomeOf(attempt), refused);
      assert.match(await outcomeOf(attempt, "--sandbox", "off"), /^done/);
    }
  });

  test("a recording holds no key in any form, and replays to the same items without a network", async () => {
    for (const [plugin, params] of [
      ["nyt-top", '{"section": "books/review"}'],
      ["twitter-status", '{"id": "1460323737035677698"}'],
    ]) {
      const file = join(folder, `${plugin}.json`);
      const live = await tool("try", pluginFile(plugin), "--params", params, "--keys", KEYS, "--json", "--record", file, ...local);
      assert.equal(live.code, 0, live.out + live.err);
      const text = readFileSync(file, "utf8");
      for (const value of Object.values(demo[plugin]))
        for (const form of [value, encodeURIComponent(value), Buffer.from(value).toString("base64").replace(/=+$/, "")])
          assert.ok(!text.includes(form), `${form} in the recording`);
      assert.ok(text.includes("[redacted]"));
      assert.equal(JSON.parse(text).restream_recording, 1);

      const replayed = await tool("try", pluginFile(plugin), "--json", "--replay", file);
      assert.equal(replayed.code, 0, replayed.out + replayed.err);
      assert.deepEqual(JSON.parse(replayed.out).items, JSON.parse(live.out).items);
      assert.deepEqual(JSON.parse(replayed.out).params, JSON.parse(params), "the recording knows its channel");
      const checked = await tool("check", pluginFile(plugin), "--replay", file);
      assert.equal(checked.code, 0, checked.out);
    }
  });

  test("check --live asks the API once and looks at what became of the answer", async () => {
    await upstream.heal();
    const asked = async () => (await upstream.requests("/svc/topstories/v2/arts.json")).length;
    const live = ["--live", "--params", '{"section": "arts"}', "--keys", KEYS];
    const { code, out, err } = await tool("check", pluginFile("nyt-top"), ...live, ...local);
    assert.equal(code, 0, out + err);
    assert.match(out, /ok {4}items +\d+ of the recording/);
    assert.equal(await asked(), 1);
    const refused = await tool("check", pluginFile("nyt-top"), ...live, "--origin", upstream.url);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /--live: the API was asked once, and there are no items: .*private/);
  });

  test("a key too short to be told from words is refused for a recording", async () => {
    const short = join(folder, "short.json");
    writeFileSync(short, JSON.stringify({ "nyt-top": { "api-key": "abc" } }));
    const file = join(folder, "never.json");
    const { code, err } = await fetchNyt("--keys", short, "--record", file, ...local);
    assert.equal(code, 2);
    assert.match(err, /fewer than 8 characters/);
    assert.ok(!existsSync(file));
  });

  test("--watch prints changes as subscribers see them, and its recording replays to the same changes", async () => {
    const name = "watched";
    const file = join(folder, "watch.json");
    await upstream.setList(name, [{ id: "1", n: 0 }, { id: "2", n: 0 }]);
    const words = ["try", pluginFile("list-complete"), "--params", JSON.stringify({ name }), "--watch", "--interval", "0.2", "--record", file, ...local];
    const watching = new Process(TOOL, words);
    const messages = () => watching.output().trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
    await eventually(() => messages().length === 2, { what: "two new items" });
    await upstream.setList(name, [{ id: "1", n: 1 }, { id: "2", n: 0 }]);
    await eventually(() => messages().length === 3, { what: "an update" });
    await upstream.fail(`/list/${name}`, "status", { status: 500 });
    await eventually(() => messages().length === 4, { what: "a status" });
    await upstream.heal();
    await eventually(() => messages().length === 5, { what: "a status that it is live again" });
    await upstream.setList(name, [{ id: "1", n: 1 }]);
    await eventually(() => messages().length === 6, { what: "a removal" });
    watching.signal("SIGINT");
    assert.equal((await watching.waitForEnd()).code, 0);

    const seen = messages();
    assert.deepEqual(seen.map((one) => one.type), ["new_item", "new_item", "updated_item", "status", "status", "removed_item"]);
    assert.deepEqual(seen[2].patch, [{ op: "replace", path: "/n", value: 1 }]);
    assert.equal(seen[3].reason, "upstream_error");
    assert.equal(seen[4].state, "live");
    assert.equal(seen[5].id, "2");
    assert.ok(seen.every((one) => one.channel === "list-complete" && one.params.name === name));
    assert.match(watching.log(), /GET http:\/\/127\.0\.0\.1:9\/list\/watched {2}200/);

    const again = await tool("try", pluginFile("list-complete"), "--watch", "--replay", file);
    const replayed = again.out.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(replayed.map((one) => [one.type, one.id]), seen.map((one) => [one.type, one.id]));
  });

  test("a plugin that dies while watched is told as such, and asked again", async () => {
    await upstream.setList("fatal", [{ id: "1", do: "die" }]);
    const watching = new Process(TOOL, ["try", pluginFile("moody"), "--params", '{"name": "fatal"}', "--watch", "--interval", "0.2", ...local]);
    await watching.waitForLine(/"reason":"plugin_crashed"/, seconds(30));
    await upstream.setList("fatal", [{ id: "2" }]);
    await watching.waitForLine(/"type":"new_item".*"id":"2"/, seconds(30));
    watching.signal("SIGTERM");
    assert.equal((await watching.waitForEnd()).code, 0);
  });

  test("usage errors end with 2 and say what to do; no key is taken from the command line", async () => {
    const plugin = pluginFile("nyt-top");
    const cases = [
      [[], /say what to do: new, check or try/],
      [["try"], /FILE is required/],
      [["try", plugin, "--params", "[1]"], /--params must be a JSON object/],
      [["try", plugin, "--params", '{"section": "nowhere"}', "--keys", KEYS], /--params: .*section/],
      [["try", plugin, "--params", '{"colour": "red"}', "--keys", KEYS], /unknown param 'colour'/],
      [["try", plugin], /keys of fetcher 'nyt-top' are needed \(api-key\).*--keys FILE/],
      [["try", plugin, "--keys", "/nowhere/keys.json"], /\/nowhere\/keys\.json cannot be read/],
      [["try", plugin, "--replay", KEYS], /this is no recording/],
      [["try", plugin, "--record", "a", "--replay", "b"], /make no sense together/],
      [["try", plugin, "--origin", "nonsense"], /--origin/],
      [["try", plugin, "a-secret-value"], /an argument too many/],
      [["check", plugin, "--config", "3"], /--config must be a JSON object/],
    ];
    for (const [words, what] of cases) {
      const { code, err } = await tool(...words);
      assert.equal(code, 2, `${words.join(" ")}: ${err}`);
      assert.match(err, what);
      assert.ok(!err.includes("a-secret-value"));
    }
    for (const words of [["--help"], ["try", "--help"], ["check", "--help"], ["new", "--help"], ["--version"]]) {
      const { code, out } = await tool(...words);
      assert.equal(code, 0);
      assert.match(out, /restream-plugin/);
    }
  });

  test("a plugin that cannot be loaded is named with the reason", async () => {
    const { code, err } = await tool("try", join(BUILD, "tests/plugins/abi-major.so"));
    assert.equal(code, 1);
    assert.match(err, /abi-major\.so: .*is built for fetcher ABI/);
  });
});
