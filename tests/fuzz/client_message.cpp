// What a subscriber may send.
#include "expect.hpp"
#include "serve/message.hpp"

using namespace restream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = parse_message({reinterpret_cast<const char*>(data), size});
  if (!message) {
    EXPECT(!message.error().message.empty());
    const std::string& code = message.error().code;
    EXPECT(code == "bad_request" || code == "unknown_action" || code == "invalid_params");
  } else {
    EXPECT(message->channel.empty() == (message->action == ClientMessage::Action::unsubscribe_all));
  }
  return 0;
}
