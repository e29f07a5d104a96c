// A list of a test server by an author who made one mistake: its configuration says which, {"fault": "prints"}. What
// restream-plugin's check must find.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <restream/fetcher.hpp>
#include <set>
#include <string>
#include <thread>

namespace {

using restream::json;

constexpr const char* origin = "http://127.0.0.1:9";

// What should not be here at all.
std::string shared_name;
std::string shared_body;
std::set<std::string> seen;
int counter = 0;

struct Careless {
  static json metadata() {
    return {{"name", "careless"},
            {"description", "A list of a test server, and one mistake"},
            {"id_field", "id"},
            {"api_url", std::string(origin) + "/list/{}"},
            {"doc_url", "https://example.com/lists"},
            {"keys", json::array({"token"})},
            {"poll_interval", 1},
            {"params", {{"name", {{"default", "a"}, {"pattern", ".*[^.].*"}}}}}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params,
                                const restream::Keys& keys) {
    const std::string fault = context.config().value("fault", "none");
    const restream::Headers headers = {{"authorization", "Bearer " + keys.at("token")}};
    if (fault == "nothing asked") return restream::items(json::array({{{"id", "1"}}}));
    if (fault == "shared params") {
      shared_name = params.at("name");
      context.get(url("a"), headers);
      return made(context.get(url(shared_name), headers));
    }
    if (fault == "elsewhere") return made(context.get("https://example.org/list/a", headers));
    if (fault == "own headers") return made(context.get(url(params.at("name")), {{"User-Agent", "me"}, headers[0]}));
    if (fault == "tries again") return tries_again(context, params, headers);
    if (fault == "key unused") return made(context.get(url(params.at("name"))));
    if (fault == "unencoded") return made(context.get(std::string(origin) + "/list/" + params.at("name"), headers));
    if (fault == "logs key") context.log(RESTREAM_INFO, "asking with " + keys.at("token"));
    if (fault == "dies saying key") {
      context.log(RESTREAM_ERROR, "cannot go on with " + keys.at("token"));
      std::abort();
    }
    if (fault == "key in message") return restream::failure(500, "asked with " + keys.at("token"));
    if (fault == "prints") {
      std::printf("hello from the plugin\n");
      std::fflush(stdout);
    }
    const auto answer = context.get(url(params.at("name")), headers);
    if (fault == "shared answer") {
      shared_body = answer.body;
      context.get(url("a"), headers);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // so that another call does come in between
      if (!answer.ok()) return answer.failure();
      return restream::items(json::parse(std::string(shared_body)).at("items"));
    }
    if (fault == "failure is success" && !answer.ok()) return restream::items(json::array());
    if (fault == "own status" && !answer.ok()) return restream::failure(500, "no luck");
    if (fault == "dies of nonsense" && answer.ok() && !json::accept(answer.body)) std::abort();
    if (fault == "nonsense is nothing" && answer.ok() && !json::accept(answer.body))
      return restream::items(json::array());
    restream::Result result = made(answer);
    if (result.status_code == 200) spoil(result.result, fault);
    return result;
  }

 private:
  static std::string url(const std::string& name) {
    return std::string(origin) + "/list/" + restream::percent_encode(name);
  }

  static restream::Result made(const restream::Answer& answer) {
    if (!answer.ok()) return answer.failure();
    return restream::items(answer.json().at("items"));
  }

  static restream::Result tries_again(restream::Context& context, const restream::Params& params,
                                      const restream::Headers& headers) {
    for (;;) {
      try {
        return made(context.get(url(params.at("name")), headers));
      } catch (const restream::HttpError&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }

  static void spoil(json& items, const std::string& fault) {
    if (fault == "no items") items = json::array();
    json kept = json::array();
    for (json& item : items) {
      if (fault == "no ids") item.erase("id");
      if (fault == "same ids") item["id"] = "1";
      if (fault == "drawn ids") item["id"] = std::to_string(++counter);
      if (fault == "poll time") item["polled"] = std::to_string(++counter);
      if (fault == "remembers" && !seen.insert(item.at("id").get<std::string>()).second) continue;
      kept.push_back(item);
    }
    items = std::move(kept);
  }
};

}  // namespace

RESTREAM_FETCHER(Careless)
