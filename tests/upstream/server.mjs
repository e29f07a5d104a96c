// A sample REST server for the tests and for trying things out: what listens, and who answers what. Run it with --help.
import { createServer } from "node:http";
import { sendAnswer } from "./answer.mjs";
import { Control } from "./control.mjs";
import { INSTEAD, SPOILING } from "./faults.mjs";
import { Lists } from "./lists.mjs";
import { TopStories } from "./nyt.mjs";
import { HELP, readCredentials, readOptions } from "./options.mjs";
import { Stats } from "./stats.mjs";
import { Tweets } from "./twitter.mjs";

function decoded(rawPath) {
  try {
    return decodeURIComponent(rawPath);
  } catch {
    return rawPath;
  }
}

// One request that is not for /_control/.
function answerApi(request, response, { apis, lists, control, gzip, path, rawPath, query }) {
  const fault = control.takeFault(path);
  if (fault && Object.hasOwn(INSTEAD, fault.mode)) return INSTEAD[fault.mode](request, response, fault);

  const set = control.answerSetFor(path);
  const api = apis.find((candidate) => candidate.handles(path)) ?? (set?.items && lists);
  let answer;
  if (set?.exact) {
    answer = set;
  } else if (!api) {
    answer = { status: 404, json: { error: "nothing is here; see --help for what the sample server answers" } };
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    answer = { status: 405, headers: { allow: "GET, HEAD" }, json: { error: "only GET is answered here" } };
  } else {
    const { host = "", authorization } = request.headers;
    const items = fault?.mode === "empty_list" ? [] : set?.items;
    answer = api.answer({ method: request.method, host, authorization, path, rawPath, query, items });
  }
  if (fault && Object.hasOwn(SPOILING, fault.mode)) return SPOILING[fault.mode](request, response, fault, answer);
  return sendAnswer(request, response, answer, { gzip });
}

function makeServer({ seed, gzip }, credentials) {
  const lists = new Lists(seed);
  const apis = [new TopStories(seed, credentials["nyt-top"]), new Tweets(seed, credentials["twitter-status"]), lists];
  const stats = new Stats(credentials);
  let round = 0;
  const change = () => ({ round: ++round, changes: apis.flatMap((api) => api.change()) });
  const control = new Control({ stats, change, makeChanging: (path, count) => lists.makeChanging(path, count) });

  const server = createServer((request, response) => {
    const [rawPath, query = ""] = request.url.split(/\?(.*)/s);
    const path = decoded(rawPath);
    if (path.startsWith("/_control/")) return void control.handle(request, response, path);
    stats.count(request, response, rawPath);
    const answer = () => {
      if (!request.socket.destroyed) answerApi(request, response, { apis, lists, control, gzip, path, rawPath, query });
    };
    const delay = control.delayOf(path);
    if (delay > 0) setTimeout(answer, delay).unref();
    else answer();
  });
  server.keepAliveTimeout = 60_000; // longer than any client of the tests keeps an idle connection
  return { server, change };
}

function main() {
  let options;
  let credentials;
  try {
    options = readOptions(process.argv.slice(2));
    if (options.help) return void process.stdout.write(HELP);
    credentials = readCredentials(options.credentials);
  } catch (error) {
    process.stderr.write(`upstream: ${error.message}\nTry --help.\n`);
    process.exitCode = 2;
    return;
  }

  const { server, change } = makeServer(options, credentials);
  server.on("error", (error) => {
    process.stderr.write(`upstream: cannot listen on ${options.address} port ${options.port}: ${error.message}\n`);
    process.exit(1);
  });
  server.listen(options.port, options.address, () => {
    const { address, port, family } = server.address();
    const host = family === "IPv6" ? `[${address}]` : address;
    process.stdout.write(`upstream listening on http://${host}:${port}\n`);
  });
  if (options.changeEveryMs > 0) setInterval(change, options.changeEveryMs).unref();
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      server.close(() => process.exit(0));
      server.closeAllConnections();
    });
  }
}

main();
