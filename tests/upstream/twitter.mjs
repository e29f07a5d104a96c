// The shape of Twitter's API v2, with invented tweets: GET /2/tweets/{id}?tweet.fields=…, signed with OAuth 1.0a.
import { Verifier } from "./oauth.mjs";
import { Random, contentTime } from "./random.mjs";

const PREFIX = "/2/tweets/";
const FIELDS = ["id", "text", "edit_history_tweet_ids", "created_at", "author_id", "public_metrics", "lang"];
const ALWAYS = ["id", "text", "edit_history_tweet_ids"];

// The ids that exist here, whatever the seed is.
export const TWEETS = [
  ["1460323737035677698", "Hello from the sample server: watch my likes rise. 👋"],
  ["1700000000000000001", "This tweet is served by a program & was written by nobody."],
  ["1700000000000000002", "Second lines\nare tweets too. “Quotes”, <angles> and emoji 🎈 must survive."],
];

class Tweet {
  constructor(id, text, seed) {
    this.random = new Random(`${seed}/twitter/${id}`);
    const likes = this.random.between(50, 500);
    this.data = {
      id, text,
      edit_history_tweet_ids: [id],
      created_at: contentTime(0, this.random.between(10, 5_000)).toISOString(),
      author_id: String(this.random.between(1_000_000, 90_000_000)),
      public_metrics: {
        retweet_count: this.random.between(1, 40),
        reply_count: this.random.between(1, 20),
        like_count: likes,
        quote_count: this.random.between(0, 9),
        bookmark_count: this.random.between(0, 9),
        impression_count: likes * 40,
      },
      lang: "en",
    };
  }

  change() {
    const metrics = { ...this.data.public_metrics };
    const likes = this.random.between(1, 12);
    metrics.like_count += likes;
    metrics.impression_count += likes * this.random.between(20, 60);
    metrics.retweet_count += this.random.between(0, 2);
    metrics.reply_count += this.random.between(0, 1);
    this.data = { ...this.data, public_metrics: metrics };
    return { path: `${PREFIX}${this.data.id}`, new: [], updated: [this.data.id], removed: [] };
  }
}

const PROBLEMS = "https://api.twitter.com/2/problems";

function unauthorized() {
  return { status: 401, json: { title: "Unauthorized", type: "about:blank", status: 401, detail: "Unauthorized" } };
}

function invalid(parameter, value, message) {
  return {
    status: 400,
    json: {
      errors: [{ parameters: { [parameter]: [value] }, message }],
      title: "Invalid Request",
      detail: "One or more parameters to your request was invalid.",
      type: `${PROBLEMS}/invalid-request`,
    },
  };
}

function notFound(id) {
  return {
    status: 200,
    json: {
      errors: [
        {
          value: id,
          detail: `Could not find tweet with id: [${id}].`,
          title: "Not Found Error",
          resource_type: "tweet",
          parameter: "id",
          resource_id: id,
          type: `${PROBLEMS}/resource-not-found`,
        },
      ],
    },
  };
}

export class Tweets {
  #tweets;
  #verifier;

  constructor(seed, credentials, now) {
    this.#tweets = new Map(TWEETS.map(([id, text]) => [id, new Tweet(id, text, seed)]));
    this.#verifier = new Verifier(credentials, now);
  }

  handles(path) {
    return path.startsWith(PREFIX);
  }

  // `items`, when given, stand in for the tweet: the first is it, none means that it does not exist.
  answer({ method, host, path, rawPath, query, authorization, items }) {
    // A client may sign the path as it wrote it, so that is what the signature is checked against.
    const refusal = this.#verifier.refusal({ method, host, path: rawPath, query, authorization });
    if (refusal) return unauthorized();
    const id = path.slice(PREFIX.length);
    if (!/^[0-9]{1,19}$/.test(id)) {
      return invalid("id", id, `The \`id\` query parameter value [${id}] is not valid`);
    }
    const asked = new URLSearchParams(query).get("tweet.fields")?.split(",") ?? [];
    const unknown = asked.find((field) => !FIELDS.includes(field));
    if (unknown !== undefined) {
      return invalid("tweet.fields", unknown, `The \`tweet.fields\` query parameter value [${unknown}] is not known`);
    }
    if (items) return items.length === 0 ? notFound(id) : { status: 200, json: { data: items[0] } };
    const tweet = this.#tweets.get(id);
    if (!tweet) return notFound(id);
    const shown = Object.entries(tweet.data).filter(([name]) => ALWAYS.includes(name) || asked.includes(name));
    return { status: 200, json: { data: Object.fromEntries(shown) } };
  }

  change() {
    return [...this.#tweets.values()].map((tweet) => tweet.change());
  }
}
