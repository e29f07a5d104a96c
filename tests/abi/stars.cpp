// A fetcher with the C++ face, as an author would write it.
#include <restream/fetcher.hpp>

namespace {

struct Stars {
  static restream::json metadata() {
    return {{"name", "stars"},
            {"description", "Stars of a repository"},
            {"id_field", "id"},
            {"api_url", "https://api.example.com/stars/{}"},
            {"doc_url", "https://example.com/"},
            {"keys", {"token"}},
            {"poll_interval", 60},
            {"params", {{"of", {{"required", true}}}}}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params,
                                const restream::Keys& keys) {
    const auto answer = context.get("https://api.example.com/stars/" + restream::percent_encode(params.at("of")),
                                    {{"authorization", "Bearer " + keys.at("token")}});
    if (!answer.ok()) return answer.failure();
    return restream::items(answer.json().at("stars"));
  }
};

}  // namespace

RESTREAM_FETCHER(Stars)
