// New York Times top stories, one channel for each section: GET /svc/topstories/v2/{section}.json
#include <restream/fetcher.hpp>

namespace {

using restream::json;

struct NytTop {
  static json metadata() {
    return {
        {"name", "nyt-top"},
        {"description", "New York Times top stories"},
        {"version", "1.0.0"},
        {"id_field", "uri"},
        {"api_url", "https://api.nytimes.com/svc/topstories/v2/{}.json"},
        {"doc_url", "https://developer.nytimes.com/docs/top-stories-product/1/overview"},
        {"keys", json::array({"api-key"})},
        {"poll_interval", 100},
        {"quota", {{"calls", 500}, {"per", "day"}, {"shared_key", "api-key"}}},
        {"params",
         {{"section", {{"default", "home"}, {"enum", sections()}, {"description", "a section of nytimes.com"}}}}},
        {"example_params", {{"section", "world"}}},
    };
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params,
                                const restream::Keys& keys) {
    // The section is one of those below, so it goes into the path as it is: books/review is two segments there.
    const auto answer = context.get("https://api.nytimes.com/svc/topstories/v2/" + params.at("section") +
                                    ".json?api-key=" + restream::percent_encode(keys.at("api-key")));
    return answer.items("/results");
  }

  static json sections() {
    return {"arts",       "automobiles", "books/review", "business", "fashion",      "food",       "health",
            "home",       "insider",     "magazine",     "movies",   "nyregion",     "obituaries", "opinion",
            "politics",   "realestate",  "science",      "sports",   "sundayreview", "technology", "theater",
            "t-magazine", "travel",      "upshot",       "us",       "world"};
  }
};

}  // namespace

RESTREAM_FETCHER(NytTop)
