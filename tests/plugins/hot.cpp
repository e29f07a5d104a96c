// A list of a test server, like `list`, built in several versions that replace each other in a running daemon. Each
// puts its own mark into the items: {"id": …, "by": VERSION}. All of them say that their name is `hot`.
#include <restream/fetcher.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <unistd.h>

#define HOT_GOOD 0
#define HOT_STRICT 1  // takes fewer params, and declares one more
#define HOT_BROKEN 2  // dies in metadata()
#define HOT_SLOW 3    // metadata() takes 3 seconds
#define HOT_OTHER 4   // says that its name is another
#define HOT_WRONG 5   // metadata that nobody can use
#define HOT_KEYED 6   // another id, and the result is the whole collection
#define HOT_LATE 7    // metadata() takes a second, which is in time

namespace {

struct Hot {
  static restream::json metadata() {
    if (HOT_KIND == HOT_BROKEN) kill(getpid(), SIGKILL);  // by a signal that no sanitizer takes for a finding
    if (HOT_KIND == HOT_SLOW) std::this_thread::sleep_for(std::chrono::seconds(3));
    if (HOT_KIND == HOT_LATE) std::this_thread::sleep_for(std::chrono::seconds(1));
    restream::json described = {{"name", HOT_KIND == HOT_OTHER ? "list" : "hot"},
                                {"description", "A list of a test server"},
                                {"id_field", HOT_KIND == HOT_KEYED ? "key" : "id"},
                                {"api_url", "http://127.0.0.1:9/list/{}"},
                                {"doc_url", "https://example.com/lists"},
                                {"keys", restream::json::array()},
                                {"poll_interval", 1},
                                {"params", {{"name", {{"required", true}, {"pattern", "[a-z]*"}}}}}};
    if (*HOT_VERSION != '\0') described["version"] = HOT_VERSION;
    if (HOT_KIND == HOT_STRICT) {
      described["params"]["name"]["pattern"] = "[a-m][a-z]*";
      described["params"]["lang"] = {{"default", "en"}};
    }
    if (HOT_KIND == HOT_WRONG) described["poll_interval"] = "often";
    if (HOT_KIND == HOT_KEYED) described["complete"] = true;
    return described;
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params, const restream::Keys&) {
    const auto answer = context.get("http://127.0.0.1:9/list/" + restream::percent_encode(params.at("name")));
    if (!answer.ok()) return answer.failure();
    restream::json items = answer.json().at("items");
    for (auto& item : items) {
      item["by"] = HOT_VERSION;
      if (HOT_KIND == HOT_STRICT) item["lang"] = params.at("lang");
      if (HOT_KIND == HOT_KEYED) item["key"] = "key-" + item.at("id").get<std::string>();
    }
    return restream::items(items);
  }
};

}  // namespace

RESTREAM_FETCHER(Hot)
