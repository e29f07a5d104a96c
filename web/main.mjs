// Joins the page's parts: the list of fetchers, the session, the panels, the token and the address.
import { readFragment, writeFragment } from "./channels.mjs";
import { announce, byId, setText } from "./dom.mjs";
import { FeedView } from "./feed_view.mjs";
import { FetcherView } from "./fetcher_view.mjs";
import { parseJson } from "./json.mjs";
import { Session } from "./session.mjs";

// The page works below any path, behind a proxy too.
const base = new URL(".", location.href.replace(/[?#].*$/, "")).href;
const FETCHERS_EVERY = 10_000; // where the server's own channel, which tells of changes, cannot be had
const NEWS_AFTER = 300; // that come together
const RELOAD_AFTER = 1000; // of a subscription that begins or ends
const TOKEN_NAME = "restream-token";
// What a subprotocol may consist of (RFC 9110's token), for that is how a browser hands it over.
const TOKEN_SHAPE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

// --- the token ---------------------------------------------------------------------------------------------------------

const token = () => sessionStorage.getItem(TOKEN_NAME);

function askForToken() {
  if (!byId("token-form").hidden) return;
  setText(byId("token-error"), token() === null ? "" : "The server does not accept this token.");
  sessionStorage.removeItem(TOKEN_NAME);
  byId("token-form").hidden = false;
  byId("token").focus();
  session.connection.pause();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  if (!TOKEN_SHAPE.test(text))
    return setText(byId("token-error"), "A token has letters, digits and characters such as - . _ ~ only, and no blanks.");
  sessionStorage.setItem(TOKEN_NAME, text);
  byId("token").value = "";
  byId("token-form").hidden = true;
  session.connection.hurry();
  loadFetchers();
});

// --- fetchers ----------------------------------------------------------------------------------------------------------

const fetcherViews = new Map(); // by name

// Rejected with a sentence for people.
async function get(path) {
  const headers = token() === null ? {} : { Authorization: `Bearer ${token()}` };
  const response = await fetch(`${base}${path}`, { headers: { Accept: "application/json", ...headers }, cache: "no-store" });
  if (response.status === 401) askForToken();
  const answer = parseJson(await response.text());
  if (!response.ok) throw new Error(answer.message ?? `the server answered with status ${response.status}`);
  return answer;
}

function showFetchers(fetchers) {
  const names = new Set(fetchers.map(({ name }) => name));
  for (const [name, view] of fetcherViews) {
    if (names.has(name)) continue;
    view.element.remove();
    fetcherViews.delete(name);
  }
  for (const fetcher of fetchers) {
    if (!fetcherViews.has(fetcher.name)) fetcherViews.set(fetcher.name, new FetcherView(fetcher.name, subscribe));
    const view = fetcherViews.get(fetcher.name);
    view.show(fetcher);
    if (!view.element.isConnected) byId("fetchers").append(view.element);
  }
  setText(byId("fetchers-note"), fetchers.length === 0 ? "No plugin is loaded yet." : "");
  byId("fetchers-note").hidden = fetchers.length > 0;
}

let loadTimer = null;

function loadSoon(delay) {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(loadFetchers, delay);
}

// The server's own channel: whatever it tells, the list is not as it was.
function heardNews() {
  if (!document.hidden && session.own.problem === "") loadSoon(NEWS_AFTER);
}

async function loadFetchers() {
  clearTimeout(loadTimer);
  try {
    showFetchers((await get("fetchers")).fetchers);
  } catch (error) {
    setText(byId("fetchers-note"), `The list could not be loaded (${error.message}). It is asked for again by itself.`);
    byId("fetchers-note").hidden = false;
  }
}

// --- subscriptions -----------------------------------------------------------------------------------------------------

const feedViews = new Map(); // by feed
const stale = new Set(); // feeds to draw at the next frame
const heardStates = new WeakMap(); // the state of each feed that screen readers were told
let writtenFragment = "";

function drawSoon(feed) {
  if (stale.size === 0) requestAnimationFrame(drawStale);
  stale.add(feed);
  if (feed === session.own) heardNews();
}

function drawStale() {
  for (const feed of stale) {
    if (!feedViews.has(feed)) continue;
    feedViews.get(feed).render();
    announceState(feed);
  }
  stale.clear();
}

function showFeeds() {
  const wanted = new Set(session.shown);
  for (const [feed, view] of feedViews) {
    if (wanted.has(feed)) continue;
    view.element.remove();
    feedViews.delete(feed);
  }
  for (const feed of wanted) {
    if (feedViews.has(feed)) continue;
    const view = new FeedView(feed, { base, withToken: () => token() !== null, unsubscribe });
    feedViews.set(feed, view);
    byId("feeds").append(view.element);
    drawSoon(feed);
  }
  byId("empty").hidden = wanted.size > 0;
  // The list counts the channels.
  loadSoon(RELOAD_AFTER);
  writtenFragment = writeFragment([...wanted]);
  history.replaceState(null, "", writtenFragment === "" ? base : `#${writtenFragment}`);
}

async function subscribe(channel, params) {
  const feed = await session.subscribe(channel, params);
  feedViews.get(feed).focus();
  announce(`Subscribed to ${feed.id}`);
}

function unsubscribe(feed) {
  session.unsubscribe(feed);
  announce(`Unsubscribed from ${feed.id}`);
  const next = feedViews.values().next().value;
  if (next) next.focus();
  else byId("subscriptions").focus();
}

// Of all that goes on, only a change of state is worth interrupting for, and the first poll is none.
function announceState(feed) {
  const { state, message } = feed.status;
  const before = heardStates.get(feed) ?? "pending";
  if (before !== state && before !== "pending" && state !== "pending")
    announce(`${feed.id} is ${state.replaceAll("_", " ")}. ${message ?? ""}`);
  heardStates.set(feed, state);
}

function readAddress() {
  const list = readFragment(location.hash);
  const ids = writeFragment(list).split(";");
  for (const feed of session.shown) {
    if (!ids.includes(writeFragment([feed]))) session.unsubscribe(feed);
  }
  for (const { channel, params } of list) session.want(channel, params);
}

// --- the connection ----------------------------------------------------------------------------------------------------

function linkText() {
  const { state, again } = session.connection;
  if (session.connected) return `Connected to ${session.server}`;
  if (state === "waiting") return `Connection lost; next attempt in ${Math.max(0, Math.ceil((again - Date.now()) / 1000))} s`;
  return state === "stopped" ? "Not connected" : "Connecting…";
}

function showLink() {
  byId("link").dataset.state = session.connected ? "open" : session.connection.state;
  setText(byId("link-text"), linkText());
  byId("hurry").hidden = session.connection.state !== "waiting";
}

function linkChanged() {
  const before = byId("link").dataset.state;
  showLink();
  const now = byId("link").dataset.state;
  if (before === "open" && now !== "open") announce("Connection lost; it is tried again by itself.");
  if (before !== "open" && now === "open") announce(linkText());
  // Which of several reasons closed it, a browser does not tell; asking for the list does.
  if ((before === "open") !== (now === "open") || now === "waiting") loadFetchers();
}

const session = new Session(`${base.replace(/^http/, "ws")}channels`, {
  linkChanged,
  feedsChanged: showFeeds,
  feedChanged: drawSoon,
  token,
});

byId("hurry").addEventListener("click", () => session.connection.hurry());
addEventListener("online", () => session.connection.hurry());
addEventListener("hashchange", () => location.hash.slice(1) !== writtenFragment && readAddress());
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment holds the subscriptions
  byId("subscriptions").focus();
});
setInterval(() => {
  if (document.hidden) return;
  showLink();
  for (const view of feedViews.values()) view.tick();
}, 1000);
const newsCome = () => session.connected && session.own.problem === "";
setInterval(() => document.hidden || byId("token-form").hidden === false || newsCome() || loadFetchers(), FETCHERS_EVERY);
document.addEventListener("visibilitychange", () => document.hidden || byId("token-form").hidden === false || loadFetchers());

readAddress();
// On a narrow screen the list is above the subscriptions; who comes for those need not pass it.
const narrow = matchMedia("(max-width: 59.99rem)");
const foldFetchers = () => (byId("fetchers-fold").open = !narrow.matches || session.shown.length === 0);
narrow.addEventListener("change", foldFetchers);
foldFetchers();
loadFetchers();
session.connection.start();
