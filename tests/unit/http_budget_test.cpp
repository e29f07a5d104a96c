// A budget is asked before every request that is written to a connection, and told when it is over.
#include <atomic>

#include "http/budget.hpp"
#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

class Purse final : public HttpBudget {
 public:
  explicit Purse(int calls) : left(calls) {}
  bool take() override {
    if (left == 0) return false;
    --left;
    ++under_way;
    return true;
  }
  void end(unsigned requests) override { under_way -= static_cast<int>(requests); }

  std::atomic<int> left;
  std::atomic<int> under_way{0};
};

HttpRequest paid(HttpRequest request, std::shared_ptr<Purse> purse) {
  request.budget = std::move(purse);
  return request;
}

bool redirects(int fd, const SeenRequest& request) {
  if (request.target == "/hang") return true;
  if (request.target == "/end")
    send_all(fd, answer(200, "", "end"));
  else
    send_all(fd, answer(302, "Location: /end\r\n", ""));
  return true;
}

}  // namespace

TEST_CASE("a redirect is a request of its own, and without a call for it it is not followed") {
  TestServer server(redirects);
  HttpClient client(HttpOptions{.user_agent = "restream/test"}, real_clock());
  const auto purse = std::make_shared<Purse>(3);
  const HttpResponse response = got(client, paid(get(server.origin(), "/start"), purse));
  CHECK(response.body == "end");
  CHECK(response.requests == 2);
  CHECK(purse->left == 1);
  CHECK(purse->under_way == 0);
  const HttpError error = refused(client, paid(get(server.origin(), "/start"), purse));
  CHECK(error.problem == HttpProblem::quota);
  CHECK(error.requests == 1);
  CHECK(purse->under_way == 0);
  CHECK(server.seen().size() == 3);
}

TEST_CASE("without a call left nothing is sent") {
  TestServer server(redirects);
  HttpClient client(HttpOptions{.user_agent = "restream/test"}, real_clock());
  const auto purse = std::make_shared<Purse>(0);
  const HttpError error = refused(client, paid(get(server.origin(), "/end"), purse));
  CHECK(error.problem == HttpProblem::quota);
  CHECK(error.requests == 0);
  CHECK(server.seen().empty());
}

TEST_CASE("a request that is given up is over as well") {
  TestServer server(redirects);
  const auto purse = std::make_shared<Purse>(5);
  {
    HttpClient client(HttpOptions{.user_agent = "restream/test"}, real_clock());
    CHECK(refused(client, paid(get(server.origin(), "/hang", 1500ms), purse)).problem == HttpProblem::timeout);
    CHECK(purse->under_way == 0);
    const auto last = start(client, paid(get(server.origin(), "/hang"), purse));
    while (server.seen().size() < 2) std::this_thread::sleep_for(5ms);
    CHECK(purse->under_way == 1);
  }
  CHECK(purse->under_way == 0);
  CHECK(purse->left == 3);
}
