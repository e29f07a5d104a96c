// A host for plugins in tests: loads a built .so and calls it as a fetcher host would, with HTTP answered by the test.
#pragma once

#include <restream/fetcher.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plugin_test {

using Json = nlohmann::json;
using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;
  std::string url;
  HeaderList headers;
  std::string body;
};

// `code` other than RESTREAM_OK: there was no answer.
struct Reply {
  int status = 200;
  std::string body;
  HeaderList headers;
  std::int32_t code = RESTREAM_OK;
  std::string error;
};

using Responder = std::function<Reply(const Request&)>;

// What one call did.
struct Outcome {
  std::int32_t code = RESTREAM_OK;
  std::string text;  // what was emitted
  std::vector<Request> requests;
  std::vector<std::string> log;
  [[nodiscard]] Json json() const { return Json::parse(text); }
};

// One loaded plugin. It is never unloaded, as in the real host.
class Plugin {
 public:
  // Throws when the file does not load or lacks one of the contract's symbols.
  explicit Plugin(const std::string& path);

  [[nodiscard]] const restream_fetcher_descriptor& descriptor() const { return *descriptor_; }
  [[nodiscard]] Json metadata() const;  // throws when the call fails

  // `emit_limit`: emit() answers RESTREAM_TOO_LARGE beyond it.
  [[nodiscard]] Outcome fetch(const Json& request, const Responder& responder,
                              std::size_t emit_limit = 1U << 24U) const;

 private:
  using Function = std::int32_t (*)(const restream_call*);
  const restream_fetcher_descriptor* descriptor_ = nullptr;
  Function metadata_ = nullptr;
  Function fetch_ = nullptr;
};

// The request of a fetch() call as the daemon sends it.
Json fetch_request(std::string_view channel, const Json& params, const Json& keys);

std::string read_file(const std::string& path);

// Answers every request with `reply`.
Responder always(Reply reply);

}  // namespace plugin_test
