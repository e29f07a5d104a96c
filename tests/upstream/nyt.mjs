// The shape of the New York Times' Top Stories API, with invented stories:
// GET /svc/topstories/v2/{section}.json?api-key=KEY
import { Random, contentTime } from "./random.mjs";

export const SECTIONS = [
  "arts", "automobiles", "books/review", "business", "fashion", "food", "health", "home", "insider", "magazine",
  "movies", "nyregion", "obituaries", "opinion", "politics", "realestate", "science", "sports", "sundayreview",
  "technology", "theater", "t-magazine", "travel", "upshot", "us", "world",
];
const PREFIX = "/svc/topstories/v2/";
const AT_FIRST = 20;
const EASTERN_HOURS = 5;

const SUBJECTS = [
  "A Harbor Town", "The City Council", "An Orchestra", "A Retired Engineer", "Three Small Museums", "The Night Ferry",
  "A Lighthouse Keeper", "The Last Bakery on the Street", "A Rowing Club", "The River Authority", "A School Choir",
  "The Mapmakers", "A Family of Clockmakers", "The Botanical Garden", "A Village Radio Station", "The Weather Service",
];
const VERBS = ["Reconsiders", "Rebuilds", "Opens", "Defends", "Rethinks", "Celebrates", "Explains", "Searches for"];
const OBJECTS = [
  "Its Oldest Bridge", "a Forgotten Archive", "the Price of Quiet", "a Century of Tides", "the Winter Timetable",
  "a Garden of Its Own", "the Long Way Home", "a Better Umbrella", "the Lost Recipe", "the Sound of Rain",
];
const PEOPLE = ["Ada Quill", "Tomás Reyer", "Jun Hollis", "Miriam Oake", "Per Lindqvost", "Noor Ashdown"];
const DES_FACETS = ["Bridges and Tunnels", "Local Government", "Music", "Weather", "Museums", "Food", "Ferries"];
const ORG_FACETS = ["River Authority", "Society of Mapmakers", "Harbor Orchestra"];
const GEO_FACETS = ["New York City", "Lisbon (Portugal)", "Hokkaido (Japan)", "Bergen (Norway)"];
const IMAGES = [
  ["superJumbo", "Super Jumbo", 1365, 2048],
  ["threeByTwoSmallAt2X", "threeByTwoSmallAt2X", 400, 600],
  ["thumbLarge", "Large Thumbnail", 150, 150],
];

function eastern(time) {
  return `${new Date(time.getTime() - EASTERN_HOURS * 3_600_000).toISOString().slice(0, 19)}-05:00`;
}

function facets(random, list) {
  const first = random.between(0, list.length - 1);
  return list.slice(first, first + random.between(0, 2));
}

function imagesOf(slug, author) {
  return IMAGES.map(([name, format, height, width]) => ({
    url: `https://static01.nyt.com/images/2024/03/01/${slug}/${slug}-${name}.jpg`,
    format, height, width, type: "image", subtype: "photo",
    caption: "An invented picture for an invented story.",
    copyright: `${author} for the sample server`,
  }));
}

// One section: what it holds now, and how a round of change alters it.
class Section {
  constructor(name, seed) {
    this.name = name;
    this.random = new Random(`${seed}/nyt/${name}`);
    this.round = 0;
    this.stories = [];
    for (let i = 0; i < AT_FIRST; ++i) this.stories.push(this.#story(5 + i * 7));
    // The real home page carries entries of other kinds too, with little in them; a reader must live with them.
    if (name === "home") this.stories.splice(3, 0, this.#interactive());
  }

  change() {
    ++this.round;
    const edited = [this.#edit(this.random.between(0, 4)), this.#edit(this.random.between(6, 12))];
    const dropped = this.stories.splice(-1);
    const fresh = this.#story(0);
    this.stories.unshift(fresh);
    // Stories move about as well, which is no change of any of them.
    const place = this.random.between(2, 8);
    this.stories.splice(place, 2, this.stories[place + 1], this.stories[place]);
    const uris = (list) => list.map((story) => story.uri);
    return { path: `${PREFIX}${this.name}.json`, new: uris([fresh]), updated: uris(edited), removed: uris(dropped) };
  }

  document(items = this.stories) {
    return {
      status: "OK",
      copyright: "Copyright (c) 2024 The New York Times Company. All Rights Reserved.",
      section: this.name,
      last_updated: eastern(contentTime(this.round)),
      num_results: items.length,
      results: items,
    };
  }

  #story(minutesAgo) {
    const random = this.random;
    const subject = random.pick(SUBJECTS);
    const verb = random.pick(VERBS);
    const object = random.pick(OBJECTS);
    const author = random.pick(PEOPLE);
    const uuid = random.uuid();
    const slug = `${subject} ${object}`.toLowerCase().replace(/[^a-z]+/g, "-");
    const [section, subsection = ""] = this.name === "home" ? [random.pick(["world", "us", "arts"])] : this.name.split("/");
    const date = eastern(contentTime(this.round, minutesAgo));
    return {
      section, subsection,
      title: `${subject} ${verb} ${object}`,
      abstract: `What happened when ${subject.toLowerCase()} met ${object.toLowerCase()}, told in “plain” words.`,
      url: `https://www.nytimes.com/2024/03/01/${this.name}/${slug}-${uuid.slice(0, 8)}.html`,
      uri: `nyt://article/${uuid}`,
      byline: `By ${author}`,
      item_type: "Article",
      updated_date: date, created_date: date, published_date: date,
      material_type_facet: "",
      kicker: random.pick(["", "", "Letter From the Coast", "The Long Read"]),
      des_facet: facets(random, DES_FACETS),
      org_facet: facets(random, ORG_FACETS),
      per_facet: [author.split(" ").reverse().join(", ")],
      geo_facet: facets(random, GEO_FACETS),
      multimedia: imagesOf(slug, author),
      short_url: "",
    };
  }

  #interactive() {
    const date = eastern(contentTime(0, 90));
    return {
      section: "admin", subsection: "", title: "", abstract: "", url: "null",
      uri: `nyt://embeddedinteractive/${this.random.uuid()}`,
      byline: "", item_type: "EmbeddedInteractive",
      updated_date: date, created_date: date, published_date: date,
      material_type_facet: "", kicker: "",
      des_facet: [], org_facet: [], per_facet: [], geo_facet: [], multimedia: null, short_url: "",
    };
  }

  // A new headline for the article at `place` or the next one after it.
  #edit(place) {
    while (this.stories[place].item_type !== "Article") ++place;
    const old = this.stories[place];
    const verb = VERBS.find((word) => old.title.includes(` ${word} `));
    const title = old.title.replace(` ${verb} `, ` ${this.random.pickOther(VERBS, verb)} `);
    this.stories[place] = { ...old, title, updated_date: eastern(contentTime(this.round)) };
    return this.stories[place];
  }
}

function fault(faultstring, errorcode) {
  return { fault: { faultstring, detail: { errorcode } } };
}

export class TopStories {
  #sections;
  #key;

  constructor(seed, credentials) {
    this.#key = credentials["api-key"];
    this.#sections = new Map(SECTIONS.map((name) => [`${PREFIX}${name}.json`, new Section(name, seed)]));
  }

  handles(path) {
    return path.startsWith(PREFIX);
  }

  // `items`, when given, stand in for the section's own.
  answer({ path, query, items }) {
    const key = new URLSearchParams(query).get("api-key");
    if (key === null) {
      const text = "Failed to resolve API Key variable request.queryparam.api-key";
      return { status: 401, json: fault(text, "steps.oauth.v2.FailedToResolveAPIKey") };
    }
    if (key !== this.#key) return { status: 401, json: fault("Invalid ApiKey", "oauth.v2.InvalidApiKey") };
    const section = this.#sections.get(path);
    if (!section) return { status: 404, json: fault("Section not found", "sample.SectionNotFound") };
    return { status: 200, json: section.document(items) };
  }

  change() {
    return [...this.#sections.values()].map((section) => section.change());
  }
}
