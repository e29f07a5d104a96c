// A real Chromium with the viewer in it. Every page is watched: what it asks for, what its policy forbids, what it throws.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { atEnd, seconds } from "./processes.mjs";

let browser;

async function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  // Chromium's own sandbox does not start as root, nor does /dev/shm suffice in small containers.
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"], timeout: seconds(60) });
  return browser;
}
atEnd(() => browser?.close());

// `at` is what follows the server's address, such as "#list?name=a"; `before(page)` runs before the page is loaded.
export async function openViewer(url, { at = "", before, ...options } = {}) {
  const context = await (browser ?? (await launch())).newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(seconds(20));
  const page = await context.newPage();
  const troubles = [];
  const requests = [];
  page.on("pageerror", (error) => troubles.push(`thrown: ${error.stack}`));
  page.on("console", (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) troubles.push(message.text());
  });
  page.on("request", (request) => requests.push(request.url()));
  page.on("websocket", (socket) => requests.push(socket.url().replace(/^ws/, "http")));
  await before?.(page);
  await page.goto(`${url}/${at}`);
  return {
    page,
    requests,
    // To be called at the end of a test: nothing was thrown or forbidden, and nobody else was asked for anything.
    close: async () => {
      await context.close();
      assert.deepEqual(troubles, []);
      const outside = requests.filter((one) => !one.startsWith(`${url}/`) && !one.startsWith("data:"));
      assert.deepEqual(outside, []);
    },
  };
}

// The panel of a subscription and what is in it.
export function panelOf(page, name) {
  const panel = page.getByRole("article", { name });
  return {
    panel,
    items: panel.locator(".item"),
    item: (id) => panel.locator(`.item[data-id=${JSON.stringify(id)}]`),
    count: (what) => panel.locator(`.numbers [data-name=${what}] dd`),
    ids: () => panel.locator(".item").evaluateAll((items) => items.map((item) => item.dataset.id)),
  };
}
