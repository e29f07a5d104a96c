// The live viewer at `/`, in a real Chromium.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openViewer, panelOf } from "./browser.mjs";
import { eventually, freePort, Process, run, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";
import { startRelay } from "./relay.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, plugins: ["list", "list-complete", "nyt-top"] });

const shows = (locator, text) =>
  eventually(async () => text.test((await locator.textContent()) ?? ""), { what: `${locator} like ${text}` });
// The form of a fetcher, opened.
const openForm = async (page, fetcher) => {
  const entry = page.getByRole("listitem", { name: fetcher, exact: true });
  await entry.getByRole("button", { name: `Subscribe to ${fetcher}` }).click();
  return { field: entry.getByLabel("name"), error: entry.locator(".field .error"), submit: entry.getByRole("button", { name: "Open channel" }) };
};
const subscribe = async (page, fetcher, name) => {
  const { field, submit } = await openForm(page, fetcher);
  await field.fill(name);
  await submit.click();
};

test("the page lists the fetchers with their health, keys, quota and documents", async () => {
  const { page, close } = await openViewer(daemon.url);
  const nyt = page.getByRole("listitem", { name: "nyt-top" });
  await shows(nyt, /New York Times top stories/);
  await shows(nyt.locator(".state"), /^needs key$/);
  await shows(nyt, /api-key: missing/);
  await shows(nyt, /500 a day, (what is left is not counted|\d+ left)/);
  assert.equal(await nyt.getByRole("link").getAttribute("href"), "https://developer.nytimes.com/docs/top-stories-product/1/overview");
  const list = page.getByRole("listitem", { name: "list-complete" });
  await shows(list.locator(".state"), /^live$/);
  await shows(list, /needs none/);
  await shows(page.locator("#link"), /Connected to restream/);
  await close();
});

test("the list follows the server's own channel: what happens is shown soon, and nothing is asked for while nothing does", async () => {
  const own = await startDaemon({ upstream, plugins: ["list"] });
  let asked = 0;
  const { page, close } = await openViewer(own.url, {
    before: (one) => one.on("request", (request) => (asked += request.url().endsWith("/fetchers") ? 1 : 0)),
  });
  await shows(page.locator("#link"), /Connected to restream/);
  assert.equal(await page.locator("#feeds > *").count(), 0, "it is followed, not shown");
  await sleep(3500);
  const before = asked;
  await sleep(11_000);
  assert.equal(asked, before, "the list was asked for though nothing had happened");
  own.addPlugin("list-complete");
  await shows(page.getByRole("listitem", { name: "list-complete" }).locator(".state"), /^live$/);
  await page.getByRole("button", { name: "Subscribe to restream-status" }).click();
  await shows(panelOf(page, "restream-status").item("host/list-complete"), /ready/);
  await close();
});

test("a subscription made by form shows items as they come, change and go", async () => {
  await upstream.setList("seen", [{ id: "a", title: "First", n: 1 }, { id: "b", title: "Second", n: 2 }]);
  const { page, close } = await openViewer(daemon.url);
  await subscribe(page, "list-complete", "seen");
  const { items, item, count } = panelOf(page, "list-complete name=seen");
  await shows(count("items"), /^2$/);
  await shows(item("b"), /Second/);

  await upstream.setList("seen", [{ id: "c", title: "Third" }, { id: "a", title: "First, mended", n: 1 }, { id: "b", title: "Second", n: 2 }]);
  await shows(item("c"), /new.*Third/s);
  await shows(item("a"), /updated/);
  assert.equal(await item("a").locator("h4 mark").textContent(), "First, mended");
  assert.match(await item("a").locator(".changes").innerText(), /\/title\s+was\s+First\s+is now\s+First, mended/);
  assert.equal(await item("b").locator("mark").count(), 0);
  await item("a").locator("summary").click();
  assert.equal(await item("a").locator("pre mark").textContent(), '"title": "First, mended"');

  await upstream.setList("seen", [{ id: "c", title: "Third" }, { id: "b", title: "Second", n: 2 }]);
  await shows(item("a"), /removed/);
  await shows(count("items"), /^2$/);
  await shows(count("removed"), /^1$/);
  assert.equal(await items.count(), 3);
  await shows(page.locator(".rate figcaption"), /\d+ events in the last minute/);

  await page.getByRole("button", { name: "Unsubscribe" }).click();
  assert.equal(await page.getByRole("article").count(), 0);
  assert.equal(new URL(page.url()).hash, "");
  await close();
});

test("what the server says of a param stands beside its field", async () => {
  const { page, close } = await openViewer(daemon.url);
  const { field, error, submit } = await openForm(page, "list");
  await submit.click();
  await shows(error, /param 'name' is required/);
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.ok((await field.getAttribute("aria-describedby")).includes(await error.getAttribute("id")));
  await field.fill("..");
  await field.press("Enter");
  await shows(error, /must match the pattern/);
  await upstream.setList("right", [{ id: "a" }]);
  await field.fill("right");
  await field.press("Enter");
  await shows(panelOf(page, "list name=right").count("items"), /^1$/);
  assert.equal(await error.textContent(), "");
  await close();
});

test("the keyboard alone makes a subscription and ends it", async () => {
  await upstream.setList("keys", [{ id: "a" }]);
  const { page, close } = await openViewer(daemon.url);
  await page.getByRole("button", { name: "Subscribe to list-complete" }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  const tabTo = async (text) => {
    for (let i = 0; (await focused()) !== text; ++i) {
      assert.ok(i < 40, `Tab does not lead to "${text}"`);
      await page.keyboard.press("Tab");
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
    }
  };
  await tabTo("Subscribe to list-complete");
  await page.keyboard.press("Enter");
  await page.keyboard.type("keys");
  await page.keyboard.press("Enter");
  await shows(panelOf(page, "list-complete name=keys").count("items"), /^1$/);
  assert.match(await focused(), /list-complete name=keys/);
  await shows(page.getByRole("status"), /Subscribed to list-complete/);
  await tabTo("Unsubscribe");
  await page.keyboard.press("Enter");
  assert.equal(await page.getByRole("article").count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), "subscriptions");
  await close();
});

test("the address keeps several subscriptions, and a reload restores them", async () => {
  await upstream.setList("one", [{ id: "a" }]);
  await upstream.setList("two/2", [{ id: "b" }]);
  const { page, close } = await openViewer(daemon.url, { at: "#list?name=one;list?name=one;;nonsense?%zz" });
  await shows(panelOf(page, "list name=one").count("items"), /^1$/);
  await subscribe(page, "list", "two/2");
  await shows(panelOf(page, "list name=two/2").count("items"), /^1$/);
  assert.equal(new URL(page.url()).hash, "#list?name=one;list?name=two%2F2");
  await subscribe(page, "list", "one");
  await page.reload();
  await shows(panelOf(page, "list name=one").count("items"), /^1$/);
  await shows(panelOf(page, "list name=two/2").count("items"), /^1$/);
  assert.equal(await page.getByRole("article").count(), 2);
  await close();
});

test("an address with a channel that does not exist says so in its panel", async () => {
  const { page, close } = await openViewer(daemon.url, { at: "#no-such?x=1" });
  await shows(page.getByRole("article", { name: "no-such" }).locator(".problem"), /no-such/);
  await close();
});

test("each line to copy, as the clipboard has it, runs and hears an event, whatever the params hold", async () => {
  const name = `it's $(false) "quoted" \\ & more`;
  let n = 0;
  await upstream.setList(name, [{ id: "counted", n }]);
  const { page, close } = await openViewer(daemon.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await subscribe(page, "list", name);
  await page.getByText("Commands").click();
  const copied = async (line) => {
    const button = page.getByRole("button", { name: `Copy the ${line} line` });
    await button.click();
    await shows(button, /Copied/);
    return page.evaluate(() => navigator.clipboard.readText());
  };
  // Of a program that prints messages: one that comes after it has begun.
  const hearsChange = async (output) => {
    await eventually(() => /"type": ?"(subscribed|snapshot)"|type: '(subscribed|snapshot)'/.test(output()), { within: seconds(20), what: "a subscription" });
    await upstream.setList(name, [{ id: "counted", n: ++n }]);
    const change = new RegExp(`updated_item.*"n": ?${n}\\b|updated_item.*n: ${n}\\b`, "s");
    await eventually(() => change.test(output()), { within: seconds(20), what: `${change}` }).catch((error) => {
      throw new Error(`${error.message}\n${output()}`);
    });
  };
  const inShell = async (line) => {
    const shell = new Process("bash", ["-c", `exec ${line}`], { cwd: HERE, input: "open" });
    await hearsChange(() => shell.output() + shell.log());
    shell.signal("SIGTERM");
    await shell.waitForEnd();
  };
  const wscat = await copied("wscat");
  assert.match(wscat, /^npx wscat /);
  await inShell(wscat); // npx finds the one in this folder
  await inShell(await copied("curl, live (SSE)"));
  const { out, err } = await run("bash", ["-c", await copied("curl, once (JSON)")]);
  const once = JSON.parse(out);
  assert.deepEqual(once.params, { name }, err);
  assert.deepEqual(once.items, [{ id: "counted", item: { id: "counted", n } }]);

  // In a page of this very server, as from a browser's console.
  const script = await copied("JavaScript");
  const heard = [];
  const { page: other, close: closeOther } = await openViewer(daemon.url, { bypassCSP: true });
  other.on("console", async (message) => heard.push(JSON.stringify(await message.args()[0]?.jsonValue())));
  await other.addScriptTag({ content: script });
  await hearsChange(() => heard.join("\n"));
  await closeOther();
  await close();
});

test("a server that wants a token is given the one that the reader types, and keeps no other", async () => {
  await upstream.setList("secret", [{ id: "a" }]);
  const guarded = await startRelay(daemon.url, "right-token");
  const { page, close } = await openViewer(guarded.url, { at: "#list?name=secret" });
  const field = page.getByLabel("This server asks for an access token.");
  const use = async (token) => {
    await field.fill(token);
    await page.getByRole("button", { name: "Use token" }).click();
  };
  await use("two words");
  await shows(page.locator("#token-error"), /no blanks/);
  await use("wrong-token");
  await shows(page.locator("#token-error"), /does not accept/);
  await use("right-token");
  const { panel, count } = panelOf(page, "list name=secret");
  await shows(count("items"), /^1$/);
  assert.equal(await field.isVisible(), false);
  assert.deepEqual(guarded.subprotocols.at(-1), ["restream", "bearer.right-token"]);
  await panel.getByText("Commands").click();
  assert.match(await page.getByLabel("wscat", { exact: true }).textContent(), /Bearer \$RESTREAM_TOKEN/);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  assert.doesNotMatch(page.url(), /token/);
  await page.reload();
  await shows(panelOf(page, "list name=secret").count("items"), /^1$/);
  await close();
});

test("a daemon that is killed under the page is resumed, with nothing lost and nothing twice", async () => {
  await upstream.setList("kept", [{ id: "a", n: 1 }, { id: "b", n: 1 }]);
  const own = await startDaemon({ upstream, plugins: ["list-complete"], config: { listen: { port: await freePort() } } });
  const positions = [];
  const { page, close } = await openViewer(own.url, {
    at: "#list-complete?name=kept",
    before: (one) =>
      one.on("websocket", (socket) =>
        socket.on("framereceived", ({ payload }) => {
          const { type, channel, position } = JSON.parse(payload);
          if (/_item$/.test(type) && channel === "list-complete") positions.push(Number(position.split(":")[1]));
        }),
      ),
  });
  const { item, count, panel, ids } = panelOf(page, "list-complete name=kept");
  await shows(count("items"), /^2$/);
  await upstream.setList("kept", [{ id: "a", n: 2 }, { id: "b", n: 1 }]);
  await shows(item("a"), /updated/);

  await own.kill9();
  await shows(page.locator("#link"), /Connection lost/);
  await upstream.setList("kept", [{ id: "c", n: 1 }, { id: "a", n: 3 }, { id: "b", n: 1 }]);
  await own.start();
  await page.getByRole("button", { name: "Try now" }).click({ timeout: 1000 }).catch(() => {}); // or it is back already
  await shows(item("c"), /new/);
  await shows(item("a"), /2.*3/s);
  await shows(panel.locator(".link"), /^resumed/);
  assert.deepEqual((await ids()).sort(), ["a", "b", "c"]);
  assert.deepEqual(positions, positions.map((_, place) => positions[0] + place), "each event once, in order");
  await close();
});

test("a state that is not live is told with its reason, message and next poll", async () => {
  await upstream.setList("sick", [{ id: "a" }]);
  const { page, close } = await openViewer(daemon.url, { at: "#list?name=sick" });
  const { panel, count } = panelOf(page, "list name=sick");
  await shows(count("items"), /^1$/);
  // The next poll is told while it is ahead, so it must be.
  await upstream.fail("/list/sick", "status", { status: 500, headers: { "Retry-After": "600" } });
  await shows(panel.locator("> header .state"), /^failing$/);
  await shows(panel.locator(".note"), /upstream error: .*next poll/);
  await shows(page.getByRole("status"), /is failing/);
  await upstream.heal();
  await panel.getByText("History").click();
  await shows(panel.locator(".history"), /failing.*upstream error.*fresh snapshot/s);
  await close();
});

test("texts of strangers are shown as text and lead nowhere they should not", async () => {
  const nasty = `<img src="https://outside.example/x" onerror="alert(1)"></script><script>alert(2)</script>`;
  const first = { id: nasty, title: nasty, url: "javascript:alert(3)", [nasty]: nasty, note: nasty };
  await upstream.setList("nasty", [first]);
  const { page, close } = await openViewer(daemon.url, { at: `#list-complete?name=nasty;${encodeURIComponent(nasty)}?x=${encodeURIComponent(nasty)}` });
  const { items } = panelOf(page, "list-complete name=nasty");
  await shows(items.first().locator("h4"), /^<img src=.*<\/script><script>/);
  await upstream.setList("nasty", [JSON.parse(JSON.stringify({ ...first, title: `${nasty}!` }).replace(/}$/, ',"__proto__":{"polluted":1}}'))]);
  await shows(items.first().locator(".changes"), /__proto__/);
  await items.first().locator("summary").click();
  await shows(items.first().locator("pre"), /"__proto__": \{\s+"polluted": 1/);
  assert.equal(await page.locator("img, main script, main a").count(), 0);
  assert.equal(await page.evaluate(() => ({}).polluted), undefined);
  await close();
});

test("numbers keep their digits", async () => {
  const about = '"channel":"list","params":{"name":"digits"},"position":"1:1"';
  const { page, close } = await openViewer(daemon.url, {
    at: "#list?name=digits",
    before: (one) =>
      one.routeWebSocket(/\/channels$/, (socket) => {
        socket.send('{"type":"ready","server":"a stand-in","protocol":1}');
        socket.onMessage(() => {
          socket.send(`{"type":"subscribed",${about},"resumed":false}`);
          socket.send(`{"type":"snapshot",${about},"items":[{"id":"a","item":{"id":"a","big":12345678901234567890,"price":1.50}}]}`);
          socket.send(`{"type":"updated_item",${about},"time":"2026-03-01T12:00:00.000Z","id":"a",
            "item":{"id":"a","big":12345678901234567891,"price":1.50},"patch":[{"op":"replace","path":"/big","value":12345678901234567891}]}`);
        });
      }),
  });
  const { item } = panelOf(page, "list name=digits");
  await shows(item("a"), /was 12345678901234567890\s+is now 12345678901234567891.*1\.50/s);
  await item("a").locator("summary").click();
  await shows(item("a").locator("pre"), /"big": 12345678901234567891,\s+"price": 1\.50/);
  await close();
});

test("a long channel stays a short page", async () => {
  await upstream.setList("long", Array.from({ length: 450 }, (_, n) => ({ id: `i${n}`, title: `Item ${n}` })));
  const { page, close } = await openViewer(daemon.url, { at: "#list-complete?name=long" });
  const { items, count, panel } = panelOf(page, "list-complete name=long");
  await shows(count("items"), /^450$/);
  await eventually(async () => (await items.count()) === 200, { what: "200 items on the page" });
  await shows(panel.locator(".more"), /and 250 more/);
  await close();
});

test("a pause stills the items and loses none", async () => {
  await upstream.setList("still", [{ id: "a", title: "Before" }]);
  const { page, close } = await openViewer(daemon.url, { at: "#list-complete?name=still" });
  const { item, count, panel } = panelOf(page, "list-complete name=still");
  await shows(item("a"), /Before/);
  await panel.getByRole("button", { name: "Pause" }).click();
  await upstream.setList("still", [{ id: "a", title: "After" }]);
  await shows(count("updated"), /^1$/);
  assert.match(await item("a").textContent(), /Before/);
  await panel.getByRole("button", { name: "Continue" }).click();
  await shows(item("a"), /After/);
  await close();
});

// The least contrast (WCAG 2) between a text of the page and what is behind it, and that text.
const leastContrast = () => {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter(
    (one) => one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== ""),
  );
  const found = texts.map((one) => {
    const [light, dark] = [luminance(parse(getComputedStyle(one).color).slice(0, 3)), luminance(ground(one))].sort((a, b) => b - a);
    return { ratio: (light + 0.05) / (dark + 0.05), text: `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}` };
  });
  return found.sort((a, b) => a.ratio - b.ratio)[0];
};

test("light and dark follow the reader's setting, and both can be read", async () => {
  await upstream.setList("hues", [{ id: "a", title: "One", n: 1 }, { id: "b", title: "Two" }]);
  const { page, close } = await openViewer(daemon.url, { at: "#list-complete?name=hues;list?name=..", reducedMotion: "reduce" });
  const { item, panel } = panelOf(page, "list-complete name=hues");
  await shows(item("a"), /One/);
  await upstream.setList("hues", [{ id: "c", title: "New" }, { id: "a", title: "One!", n: 2 }]);
  await shows(item("b"), /removed/);
  await panel.getByText("Commands").click();
  await panel.getByText("History").click();
  const { error, submit } = await openForm(page, "list");
  await submit.click();
  await shows(error, /required/);
  const grounds = {};
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { ratio, text } = await page.evaluate(leastContrast);
    assert.ok(ratio >= 4.5, `${colorScheme}: a contrast of ${ratio.toFixed(2)} at ${text}`);
    grounds[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  }
  assert.notEqual(grounds.light, grounds.dark);
  await close();
});

test("on a phone nothing is wider than the screen", async () => {
  const word = "w".repeat(300);
  await upstream.setList("narrow", [{ id: word, title: word, url: `https://example.com/${word}`, [word]: word, text: word }]);
  const { page, close } = await openViewer(daemon.url, { at: "#list-complete?name=narrow", viewport: { width: 360, height: 740 }, hasTouch: true });
  const { items, panel } = panelOf(page, "list-complete name=narrow");
  await items.first().waitFor();
  await upstream.setList("narrow", [{ id: word, title: word, url: `https://example.com/${word}`, [word]: 1, text: `${word}!` }]);
  await shows(items.first(), /updated/);
  await items.first().locator("summary").click();
  await panel.getByText("Commands").click();
  await panel.getByText("History").click();
  await page.locator("#fetchers-fold > summary").click();
  await openForm(page, "list");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await close();
});
