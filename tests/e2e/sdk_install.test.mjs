// What `cmake --install` gives, and that a fetcher project made by the installed restream-plugin builds against it and
// passes its own test, in each language.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BUILD, run, seconds, SLOWNESS, temporaryFolder } from "./harness.mjs";

const within = seconds(240);
const rustc = existsSync(join(BUILD, "tests/plugins/list-rust.so"));

async function succeed(file, words, options = {}) {
  const { code, out, err } = await run(file, words, { within, ...options });
  assert.equal(code, 0, `${file} ${words.join(" ")}\n${out}\n${err}`);
  return out;
}

describe("what is installed", { skip: SLOWNESS > 1 && "a sanitized host wants sanitized plugins" }, async () => {
  const folder = temporaryFolder();
  const prefix = join(folder, "prefix");
  await succeed("cmake", ["--install", BUILD, "--prefix", prefix]);
  const tool = join(prefix, "bin/restream-plugin");

  test("is complete, and nothing is outside of the prefix", () => {
    for (const file of [
      "bin/restreamd",
      "bin/restream-keys",
      "bin/restream-plugin",
      "libexec/restream/restream-fetcher-host",
      "lib/restream/plugins/nyt-top.so",
      "lib/restream/plugins/twitter-status.so",
      "include/restream/fetcher.h",
      "include/restream/fetcher.hpp",
      "lib/cmake/restream-sdk/restream-sdk-config.cmake",
      "lib/cmake/restream-sdk/restream-sdk-config-version.cmake",
      "lib/cmake/restream-sdk/restream.rs",
      "share/restream/template/cpp/CMakeLists.txt",
      "share/man/man1/restream-plugin.1",
    ])
      assert.ok(existsSync(join(prefix, file)), file);
    for (const file of readFileSync(join(BUILD, "install_manifest.txt"), "utf8").split("\n"))
      assert.ok(file === "" || file.startsWith(`${prefix}/`), file);
  });

  for (const language of ["c++", "c", "rust"]) {
    const name = { "c++": "tide-tables", c: "tides-in-c", rust: "tides-in-rust" }[language];
    const skip = language === "rust" && !rustc && "there is no rustc";
    test(`a project in ${language} made by "new" builds and passes its own test`, { skip }, async () => {
      const project = join(folder, name);
      const told = await succeed(tool, ["new", name, "--language", language, "--directory", project]);
      assert.match(told, /ctest --test-dir build/);
      const build = join(project, "build");
      await succeed("cmake", ["-S", project, "-B", build, `-DCMAKE_PREFIX_PATH=${prefix}`]);
      await succeed("cmake", ["--build", build]);
      const tested = await succeed("ctest", ["--test-dir", build, "--output-on-failure"]);
      assert.match(tested, /100% tests passed, 0 tests failed out of 2/);
      // The contract's symbols and nothing else (but what the C++ library marks as one of a kind).
      const symbols = await succeed("nm", ["-D", "--defined-only", join(build, `${name}.so`)]);
      const strong = symbols.split("\n").filter((line) => line && !/ [WVu] /.test(line)).map((line) => line.split(" ").at(-1));
      assert.deepEqual(strong.sort(), ["fetch", "metadata", "restream_fetcher"]);
    });
  }

  test("what \"new\" says to do next does it when it is pasted, wherever restream and the project are", async () => {
    const told = await succeed("sh", ["-c", `cd ${folder} && ${tool} new tides-pasted --language c --directory "my tides"`]);
    const [, pasted] = /Build it and run its test:\n\n((?:  .*\n)+)/.exec(told);
    const tested = await succeed("sh", ["-ec", `cd ${folder}\n${pasted}`]);
    assert.match(tested, /100% tests passed, 0 tests failed out of 2/);
  });

  test("the example of docs/fetchers.md is what it says: it builds, gives its items, and passes the check", async () => {
    const page = readFileSync(fileURLToPath(new URL("../../docs/fetchers.md", import.meta.url)), "utf8");
    const [, file, source] = /^`(\w+\.cpp)`, all of it:\n\n```cpp\n([^]*?)^```$/m.exec(page);
    const [, json] = /echo '(\[.*\])' > api\/repos\/acme\/rocket\/releases/.exec(page);
    const [, params] = /restream-plugin try build\/github-releases\.so --params '(.*)'/.exec(page);
    const [, printed] = /^    (\{"assets".*\})$/m.exec(page);
    const api = createServer((request, response) => response.writeHead(request.url === "/repos/acme/rocket/releases" ? 200 : 404).end(json));
    await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
    try {
      const project = join(folder, "github-releases");
      await succeed(tool, ["new", "github-releases", "--directory", project]);
      assert.ok(existsSync(join(project, file)), `${file} is the file that "new" made`);
      writeFileSync(join(project, file), source);
      const build = join(project, "build");
      // Debug: it is compiled twice, and that is most of what this test takes.
      await succeed("cmake", ["-S", project, "-B", build, `-DCMAKE_PREFIX_PATH=${prefix}`, "-DCMAKE_BUILD_TYPE=Debug"]);
      await succeed("cmake", ["--build", build]);
      const library = join(build, "github-releases.so");
      const local = ["--origin", `http://127.0.0.1:${api.address().port}`, "--allow-private"];
      const sample = join(project, "samples/first.json");
      const told = await succeed(tool, ["try", library, "--params", params, ...local, "--record", sample]);
      assert.ok(told.split("\n").includes(printed), `${printed} in\n${told}`);
      assert.match(await succeed(tool, ["check", library, "--replay", sample]), /nothing found/);
      await succeed("ctest", ["--test-dir", build, "--output-on-failure"]);

      // The finding that it shows.
      const [, what] = /^    FOUND answers .*\n +(what .*)$/m.exec(page);
      writeFileSync(join(project, file), source.replace(/^.*if \(!answer\.ok\(\)\).*\n/m, ""));
      await succeed("cmake", ["--build", build]);
      const { code, out } = await run(tool, ["check", library, "--replay", sample], { within });
      assert.equal(code, 1, out);
      assert.ok(out.includes(what), `${what} in\n${out}`);
    } finally {
      api.closeAllConnections();
      await new Promise((resolve) => api.close(resolve));
    }
  });

  test("a project's test fails when its fetcher is broken", async () => {
    const project = join(folder, "broken");
    await succeed(tool, ["new", "broken", "--language", "c", "--directory", project]);
    const source = join(project, "broken.c");
    const text = readFileSync(source, "utf8");
    writeFileSync(source, text.replace('answer.body, "things"', 'answer.body, "nothings"'));
    assert.notEqual(readFileSync(source, "utf8"), text);
    await succeed("cmake", ["-S", project, "-B", join(project, "build"), `-DCMAKE_PREFIX_PATH=${prefix}`]);
    await succeed("cmake", ["--build", join(project, "build")]);
    const { code, out } = await run("ctest", ["--test-dir", join(project, "build")], { within });
    assert.notEqual(code, 0);
    assert.match(out, /0% tests passed, 2 tests failed/);
  });

  test("another version than the installed one is not taken", async () => {
    const project = join(folder, "newer");
    mkdirSync(project);
    writeFileSync(
      join(project, "CMakeLists.txt"),
      "cmake_minimum_required(VERSION 3.25)\nproject(newer NONE)\nfind_package(restream-sdk 99.0 REQUIRED)\n",
    );
    const { code, err } = await run("cmake", ["-S", project, "-B", join(project, "build"), `-DCMAKE_PREFIX_PATH=${prefix}`], { within });
    assert.notEqual(code, 0);
    assert.match(err, /requested version "99\.0"/);
  });

  test("new overwrites nothing, and refuses names that are none", async () => {
    const project = join(folder, "mine");
    mkdirSync(project);
    writeFileSync(join(project, "README.md"), "mine\n");
    const taken = await run(tool, ["new", "mine", "--directory", project]);
    assert.equal(taken.code, 2);
    assert.match(taken.err, /README\.md is there already, and nothing is overwritten/);
    assert.equal(readFileSync(join(project, "README.md"), "utf8"), "mine\n");
    assert.ok(!existsSync(join(project, "CMakeLists.txt")), "nothing is written when anything is in the way");
    for (const name of ["My-Fetcher", "a b", "../x", "-x", "x-", "a--b", "1st", "a".repeat(65), "ä", ""]) {
      const { code, err } = await run(tool, ["new", "--directory", join(folder, "never"), "--", name]);
      assert.equal(code, 2, name);
      assert.match(err, /a fetcher's name/);
    }
    assert.ok(!existsSync(join(folder, "never")));
    assert.equal((await run(tool, ["new", "x", "--language", "cobol"])).code, 2);
  });
});
