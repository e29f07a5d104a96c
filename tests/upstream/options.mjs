// The command line: texts in, values or a complaint out.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const HELP = `A sample REST server: invented news and tweets in the shape of two well-known APIs, which change.

usage: node tests/upstream/server.mjs [options]

  --port N            port to listen on; 0 picks a free one (default 9000)
  --address A         address to listen on (default 127.0.0.1)
  --change-every T    a round of change every so often: 500ms, 3s, 5m (default 3s); 0: only when told
  --seed TEXT         what the invented data is made from: same seed, same data (default "restream")
  --credentials FILE  the keys that it accepts, as {"nyt-top": {"api-key": …}, "twitter-status": {"consumer-key": …,
                      "consumer-secret": …, "access-token": …, "access-token-secret": …}}
                      (default: demo-keys.json beside this file, which holds no real keys)
  --no-gzip           never compress, whatever the client accepts
  --help              this text

It prints one line, "upstream listening on http://ADDRESS:PORT", and ends on SIGTERM or SIGINT.

  GET /svc/topstories/v2/{section}.json?api-key=KEY    stories of home, world, books/review, arts, technology …
  GET /2/tweets/{id}?tweet.fields=…                    a tweet; needs an OAuth 1.0a signature
                                                       ids: 1460323737035677698, 1700000000000000001, …2
  GET /list/{name}                                     a list made by POST /_control/set

Try, with the server running:

  curl 'http://127.0.0.1:9000/svc/topstories/v2/home.json?api-key=demo-not-a-real-key-nyt'
  curl -d '{"path": "/list/a", "items": [{"id": "1"}]}' http://127.0.0.1:9000/_control/set
  curl http://127.0.0.1:9000/list/a
  curl -d '{"path": "/list/", "mode": "status", "status": 503, "times": 2}' http://127.0.0.1:9000/_control/fail
  curl -d '' http://127.0.0.1:9000/_control/change
  curl http://127.0.0.1:9000/_control/stats

Everything below /_control/ is told at the top of control.mjs. Anyone who reaches the port can use it, so keep the
server on a loopback address.
`;

const NEEDED = {
  "nyt-top": ["api-key"],
  "twitter-status": ["consumer-key", "consumer-secret", "access-token", "access-token-secret"],
};

function durationMs(text) {
  const match = /^([0-9]+)(ms|s|m)?$/.exec(text);
  if (!match) throw new Error(`--change-every: expected 0, 500ms, 3s or 5m, not "${text}"`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] ?? "s"];
}

function portNumber(text) {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new Error(`--port: expected a number from 0 to 65535, not "${text}"`);
  }
  return Number(text);
}

// Messages name the file and the missing member, never what the file holds.
export function readCredentials(file) {
  let value;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`--credentials: cannot read ${file}: ${error.code ?? "it is not JSON"}`);
  }
  for (const [fetcher, names] of Object.entries(NEEDED)) {
    for (const name of names) {
      if (typeof value?.[fetcher]?.[name] !== "string") {
        throw new Error(`--credentials: ${file} lacks the text "${name}" of "${fetcher}"`);
      }
    }
  }
  return value;
}

export function readOptions(words) {
  const options = {
    port: 9000,
    address: "127.0.0.1",
    changeEveryMs: 3000,
    seed: "restream",
    credentials: fileURLToPath(new URL("demo-keys.json", import.meta.url)),
    gzip: true,
    help: false,
  };
  const rest = words.flatMap((word) => {
    const pair = /^(--[a-z-]+)=(.*)$/s.exec(word); // --port=0 is --port 0
    return pair ? [pair[1], pair[2]] : [word];
  });
  while (rest.length > 0) {
    const name = rest.shift();
    const value = () => {
      if (rest.length === 0) throw new Error(`${name} needs a value`);
      return rest.shift();
    };
    if (name === "--help" || name === "-h") options.help = true;
    else if (name === "--no-gzip") options.gzip = false;
    else if (name === "--port") options.port = portNumber(value());
    else if (name === "--address") options.address = value();
    else if (name === "--change-every") options.changeEveryMs = durationMs(value());
    else if (name === "--seed") options.seed = value();
    else if (name === "--credentials") options.credentials = value();
    else throw new Error(`unknown option ${name}`);
  }
  return options;
}
