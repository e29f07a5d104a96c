// @NAME@: what it fetches, in one line. Replace the API by yours; `restream-plugin check` tells what is still amiss.
#include <restream/fetcher.hpp>

namespace {

struct @TYPE@ {
  static restream::json metadata() {
    return {{"name", "@NAME@"},
            {"description", "Things of one topic"},
            {"version", "0.1.0"},
            {"id_field", "id"},
            {"api_url", "https://api.example.com/things"},
            {"doc_url", "https://example.com/docs"},
            {"keys", restream::json::array()},  // restream::json::array({"api-key"}): then keys.at("api-key") is there
            {"poll_interval", 60},              // seconds
            {"params",
             {{"topic",
               {{"default", "all"}, {"pattern", "[a-z0-9-]+"}, {"description", "what the things are about"}}}}},
            {"example_params", {{"topic", "rockets"}}}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params, const restream::Keys&) {
    const auto answer =
        context.get("https://api.example.com/things?topic=" + restream::percent_encode(params.at("topic")));
    return answer.items("/things");  // where the list stands in the answer; a failed poll when there is none
  }
};

}  // namespace

RESTREAM_FETCHER(@TYPE@)
