// A list at /list/{name} of a test server: {"items": [{"id": …}, …]}. Built as `list`; as `list-complete`, whose answer
// is the whole collection; and as `list-shy`, with a status that means 429.
#include <restream/fetcher.hpp>

#ifndef LIST_LIMITED
#define LIST_LIMITED
#endif

namespace {

struct List {
  static restream::json metadata() {
    // A name of dots alone would be a step in the path rather than a name, and dots are not percent-encoded.
    return {{"name", LIST_NAME},
            {"description", "A list of a test server"},
            {"id_field", "id"},
            {"api_url", "http://127.0.0.1:9/list/{}"},
            {"doc_url", "https://example.com/lists"},
            {"keys", restream::json::array()},
            {"poll_interval", 1},
            {"params", {{"name", {{"required", true}, {"pattern", ".*[^.].*"}, {"description", "the list's name"}}}}},
            {"limited_status", restream::json::array({LIST_LIMITED})},
            {"complete", LIST_COMPLETE}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params, const restream::Keys&) {
    return context.get("http://127.0.0.1:9/list/" + restream::percent_encode(params.at("name"))).items("/items");
  }
};

}  // namespace

RESTREAM_FETCHER(List)
