// restream-plugin check: a good plugin passes in each language, and each mistake is found, named and explained.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { BUILD, pluginFile, run, seconds, SLOWNESS, temporaryFolder } from "./harness.mjs";

const TOOL = join(BUILD, "bin/restream-plugin");
const SAMPLE = fileURLToPath(new URL("../plugins/samples/list.json", import.meta.url));

async function check(plugin, ...words) {
  const { code, out, err } = await run(TOOL, ["check", plugin, "--json", ...words], { within: seconds(120) });
  const report = out ? JSON.parse(out) : null;
  const findings = report ? report.checks.flatMap((one) => one.findings.map((found) => ({ check: one.check, ...found }))) : [];
  return { code, err, report, findings, text: JSON.stringify(findings, null, 1) };
}

const careless = (fault, ...words) =>
  check(pluginFile("careless"), "--replay", SAMPLE, "--config", JSON.stringify({ fault }), ...words);

describe("restream-plugin check", { concurrency: 4 }, () => {
  for (const name of ["list-c", "list-rust", "list-complete"]) {
    const missing = name === "list-rust" && !existsSync(join(BUILD, "tests/plugins/list-rust.so"));
    test(`${name} passes every check`, { skip: missing && "built without rustc" }, async () => {
      const seen = await check(pluginFile(name), "--replay", SAMPLE);
      assert.equal(seen.text, "[]");
      assert.equal(seen.code, 0);
      const names = "load metadata items repeats requests params answers deadlines threads output keys".split(" ");
      assert.deepEqual(seen.report.checks.map((one) => one.check), names);
      assert.ok(seen.report.checks.every((one) => one.outcome === "fine"));
    });
  }

  test("the bundled fetchers pass without a recording, and what could not be looked at is said", async () => {
    for (const name of ["nyt-top", "twitter-status"]) {
      const words = name === "twitter-status" ? ["--params", '{"id": "1460323737035677698"}'] : [];
      const seen = await check(pluginFile(name), ...words);
      assert.equal(seen.text, "[]");
      const skipped = seen.report.checks.filter((one) => one.outcome === "skipped").map((one) => one.check);
      assert.deepEqual(skipped, ["items", "repeats"]);
    }
  });

  test("the careless plugin without its mistake passes", async () => {
    const seen = await careless("none");
    assert.equal(seen.text, "[]");
    assert.equal(seen.code, 0);
  });

  // The mistake, the check that finds it, and what it says.
  const mistakes = [
    ["nothing asked", "requests", /asks for nothing/],
    ["elsewhere", "requests", /asks https:\/\/example\.org/],
    ["own headers", "requests", /header User-Agent/],
    ["unencoded", "params", /param 'name' with the value/],
    ["failure is success", "answers", /when the API answers 400, 401.*500 with a list.*200 with 0 items/],
    ["own status", "answers", /answers 401, 403, 429: it returned status 500/],
    ["dies of nonsense", "answers", /crashed: signal 6 \(SIGABRT\)/],
    ["nonsense is nothing", "answers", /a page of HTML/],
    ["tries again", "deadlines", /cancelled does not return within 2 seconds/, /does not return by the call's deadline/],
    ["no items", "items", /there are no items/],
    ["no ids", "items", /3 of 3 items have no 'id'/],
    ["same ids", "items", /2 items have an id at 'id' that another one has too/],
    ["drawn ids", "repeats", /items with other ids/],
    ["poll time", "repeats", /other items the second time.*\/polled/],
    ["remembers", "repeats", /\(3 and 0 items\)/],
    ["shared params", "threads", /asked for what another was to ask for/],
    ["shared answer", "threads", /(do not give the same items|crashed|request failed)/],
    ["prints", "output", /hello from the plugin/],
    ["logs key", "keys", /value of a key is in a line/],
    ["key in message", "keys", /value of a key is in its result/],
    ["key unused", "keys", /no request shows one/],
  ];
  // A sanitizer watches the tool, for which some of them will do; it makes each take a minute.
  const looked = SLOWNESS > 1 ? mistakes.filter((_, i) => i % 5 === 0) : mistakes;
  for (const [fault, where, ...whats] of looked) {
    test(`finds "${fault}" in ${where}: ${whats.join(" and ")}`, async () => {
      const seen = await careless(fault);
      assert.equal(seen.code, 1);
      const found = seen.findings.filter((one) => one.check === where);
      for (const what of whats) assert.ok(found.some((one) => what.test(one.what)), seen.text);
      for (const one of seen.findings) assert.ok(one.what && one.why && one.mend, "every finding is explained");
      assert.ok(!JSON.stringify(seen.report).includes("stand-in-for"), "no key is shown");
    });
  }

  test("metadata that contradicts itself is found out, each contradiction by name", async () => {
    const seen = await check(pluginFile("muddled"));
    assert.equal(seen.code, 1);
    for (const what of [
      /file is named muddled\.so, and the fetcher 'confused'/,
      /description is empty/,
      /doc_url/,
      /field 'intervall'/,
      /param 'of' is required and has a default/,
      /param 'of' has a field 'sort'/,
      /default of param 'size'/,
      /enum's value 'LARGE'/,
      /example_params.*'colour'/,
      /shared_key is 'token'/,
      /key name 'a key'/,
    ])
      assert.ok(seen.findings.some((one) => what.test(one.what)), `${what} in ${seen.text}`);
  });

  const unusable = [
    ["not-a-library", /not-a-library\.so cannot be used/],
    ["bad-magic", /does not begin with/],
    ["no-fetch", /does not export fetch/],
    ["no-descriptor", /does not export restream_fetcher/],
    ["abi-major", /is built for fetcher ABI [0-9]+\.[0-9]+, this restream has 1\.0/],
    ["abi-minor", /is built for fetcher ABI 1\.[0-9]+, this restream has 1\.0/],
    ["abort-on-load", /SIGABRT/],
    ["hang-on-load", /was not ready within/],
  ];
  for (const [name, what] of unusable) {
    test(`a file that cannot be used, ${name}, is named with the reason and the cure`, async () => {
      const seen = await check(join(BUILD, "tests/plugins", `${name}.so`));
      assert.equal(seen.code, 1);
      assert.equal(seen.findings.length, 1, seen.text);
      assert.equal(seen.findings[0].check, "load");
      assert.match(seen.findings[0].what, what);
      assert.ok(seen.findings[0].mend);
    });
  }

  test("a plugin that never returns is found out soon", async () => {
    const seen = await check(pluginFile("loop-in-fetch"));
    assert.equal(seen.code, 1);
    assert.match(seen.text, /did not return by its deadline/);
    assert.equal(seen.report.checks.at(-1).outcome, "skipped");
    assert.match(seen.report.checks.at(-1).note, /nothing more can be looked at/);
  });

  test("a file that is not there, and a recording of another fetcher, are said to be so", async () => {
    const none = await check("/nowhere/my.so");
    assert.equal(none.code, 1);
    assert.match(none.findings[0].what, /\/nowhere\/my\.so is not a file/);

    const folder = temporaryFolder();
    const other = join(folder, "other.json");
    writeFileSync(other, JSON.stringify({ restream_recording: 1, fetcher: "other", exchanges: [] }));
    const seen = await check(pluginFile("list"), "--replay", other);
    assert.equal(seen.code, 2);
    assert.match(seen.err, /is of fetcher 'other'/);
  });

  test("a copy under another name is told how to be named", async () => {
    const folder = temporaryFolder();
    copyFileSync(pluginFile("list-c"), join(folder, "lists.so"));
    const seen = await check(join(folder, "lists.so"), "--replay", SAMPLE);
    assert.deepEqual(seen.findings.map((one) => one.mend), ["Name the file list-c.so."]);
  });

  test("a plugin's words are shown as text: they steer no terminal", async () => {
    for (const words of [[], ["--json"]]) {
      const { code, out, err } = await run(TOOL, ["check", pluginFile("rude-words"), ...words], { within: seconds(120) });
      assert.equal(code, 1);
      assert.match(out, /rude.*2J/s, "they are told");
      assert.doesNotMatch(out + err, /(?!\n)\p{Cc}/u);
    }
  });

  test("people get the findings as text", async () => {
    const { code, out } = await run(TOOL, ["check", pluginFile("careless"), "--replay", SAMPLE, "--config", '{"fault": "prints"}'], {
      within: seconds(120),
    });
    assert.equal(code, 1);
    assert.match(out, /ok +load/);
    assert.match(out, /FOUND +output/);
    assert.match(out, /what {2}it prints/);
    assert.match(out, /\n1 finding\n$/);
  });
});
