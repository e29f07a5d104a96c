// node tests/e2e/screenshots.mjs: makes docs/images/viewer-{light,dark,phone}.png of the viewer with the sample
// upstream behind it. RESTREAM_BUILD names the build folder.
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openViewer, panelOf } from "./browser.mjs";
import { eventually, seconds, startDaemon, startUpstream } from "./harness.mjs";

const images = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const keys = JSON.parse(readFileSync(new URL("../upstream/demo-keys.json", import.meta.url), "utf8"));
const SUBSCRIPTIONS = "#nyt-top?section=world;twitter-status?id=1460323737035677698";

mkdirSync(images, { recursive: true });
const upstream = await startUpstream({ changeEvery: "2s" });
const daemon = await startDaemon({ upstream, keys, plugins: ["nyt-top", "twitter-status"] });

async function takePicture(name, { at = SUBSCRIPTIONS, width, height, look = () => {}, ...options }) {
  const { page, close } = await openViewer(daemon.url, { at, viewport: { width, height }, reducedMotion: "reduce", ...options });
  const { count } = panelOf(page, "nyt-top section=world");
  const busy = async () => Number(await count("updated").textContent()) >= 8;
  await eventually(busy, { within: seconds(60), what: "some updates to show" });
  await look(page);
  await page.screenshot({ path: `${images}viewer-${name}.png` });
  await close();
}

await takePicture("light", { width: 1280, height: 840, colorScheme: "light" });
await takePicture("dark", { width: 1280, height: 840, colorScheme: "dark" });
await takePicture("phone", {
  width: 360,
  height: 780,
  colorScheme: "light",
  hasTouch: true,
  look: (page) => page.getByRole("article").first().scrollIntoViewIfNeeded(),
});
await daemon.stop();
process.exit();
