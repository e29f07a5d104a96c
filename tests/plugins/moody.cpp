// A list of a test server, like `list`, but an item may tell it to misbehave: {"id": …, "do": "die"} or "hang" or
// "print".
#include <unistd.h>
#include <restream/fetcher.hpp>

#include <csignal>
#include <cstdio>

namespace {

struct Moody {
  static restream::json metadata() {
    return {{"name", "moody"},
            {"description", "A list of a test server, and a plugin that obeys it"},
            {"id_field", "id"},
            {"api_url", "http://127.0.0.1:9/list/{}"},
            {"doc_url", "https://example.com/lists"},
            {"keys", restream::json::array()},
            {"poll_interval", 1},
            {"params", {{"name", {{"required", true}}}}}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params, const restream::Keys&) {
    const auto answer = context.get("http://127.0.0.1:9/list/" + restream::percent_encode(params.at("name")));
    if (!answer.ok()) return answer.failure();
    const auto body = answer.json();
    for (const auto& item : body.at("items")) obey(item.value("do", ""));
    return restream::items(body.at("items"));
  }

 private:
  static void obey(const std::string& order) {
    // By a signal that no sanitizer takes for a finding.
    if (order == "die") kill(getpid(), SIGKILL);
    while (order == "hang") pause();
    if (order == "print") {
      std::puts("printed by the plugin");
      std::fflush(stdout);
    }
  }
};

}  // namespace

RESTREAM_FETCHER(Moody)
