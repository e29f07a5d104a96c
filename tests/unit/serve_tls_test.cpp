// TLS on the connections: the same promises, through OpenSSL.
#include "serve/tls.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

// A folder with a certificate for `name` and its key.
class Certificate {
 public:
  explicit Certificate(const std::string& name)
      : folder_(std::filesystem::temp_directory_path() / ("restream-tls-" + std::to_string(::getpid()) + "-" + name)) {
    std::filesystem::create_directories(folder_);
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=" + name +
        " -keyout " + key().string() + " -out " + file().string() + " 2>/dev/null";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  ~Certificate() { std::filesystem::remove_all(folder_); }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  [[nodiscard]] std::filesystem::path file() const { return folder_ / "crt.pem"; }
  [[nodiscard]] std::filesystem::path key() const { return folder_ / "key.pem"; }
  [[nodiscard]] std::shared_ptr<const TlsContext> context() const {
    auto loaded = TlsContext::load(file(), key());
    REQUIRE(loaded);
    return *loaded;
  }

 private:
  std::filesystem::path folder_;
};

struct SecureRig : Rig {
  explicit SecureRig(const Certificate& certificate, std::size_t send_queue = 1U << 20U)
      : Rig([send_queue](ServerOptions& options) { options.send_queue = send_queue; }) {
    std::signal(SIGPIPE, SIG_IGN);
    use(certificate);
  }
  // Until the threads have it.
  void use(const Certificate& certificate) {
    const std::string name = certificate.file().parent_path().string();
    server->set_tls(certificate.context());
    // Connections are dealt out in turn: two in a row are of both threads.
    const auto has_it = [&] {
      Client one = client();
      return one.secure() && name.ends_with(one.certificate_name());
    };
    CHECK(eventually([&] { return has_it() && has_it(); }));
  }
  Client secure(int receive_buffer = 0) {
    Client one = client(receive_buffer);
    REQUIRE(one.secure());
    return one;
  }
};

}  // namespace

TEST_CASE("HTTP, a WebSocket and an event stream go over TLS as they do without") {
  const Certificate certificate("one");
  SecureRig rig(certificate);
  rig.core.append("news", 3);
  Client http = rig.secure();
  for (int i = 0; i < 3; ++i) CHECK(http.get("/livez").status == 200);
  CHECK(http.get("/channels/huge").body.size() == 8U << 20U);
  Client socket = rig.secure();
  socket.open();
  CHECK(socket.subscribe("news")["position"] == at(3));
  CHECK(socket.read_json()["type"] == "snapshot");
  Client stream = rig.secure();
  CHECK(stream.stream("/channels/news?_since=" + at(3)).status == 200);
  CHECK(stream.read_event().json()["resumed"] == true);
  for (int i = 0; i < 20; ++i) rig.core.publish("news", 5, 5000);
  for (std::uint64_t offset = 4; offset <= 103; ++offset) {
    REQUIRE(socket.read_json()["position"] == at(offset));
    REQUIRE(stream.read_event().id == at(offset));
  }
  socket.frame(0x88, std::string("\x03\xe8", 2));
  CHECK(socket.read_frame().code() == 1000);
  CHECK(socket.read_frame().opcode == -1);
}

TEST_CASE("a slow reader over TLS loses nothing") {
  const Certificate certificate("one");
  SecureRig rig(certificate, 64U << 10U);
  rig.clock.stop();
  Client slow = rig.secure(4096);
  slow.open();
  slow.subscribe("news", R"(,"snapshot":false)");
  for (int i = 0; i < 100; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(300));
  for (std::uint64_t offset = 1; offset <= 500; ++offset) REQUIRE(slow.read_json()["position"] == at(offset));
  CHECK(rig.core.reads() > 8);
}

TEST_CASE("a certificate that is read anew is for new connections; those that are open keep theirs") {
  const Certificate first("first");
  const Certificate second("second");
  SecureRig rig(first);
  Client before = rig.secure();
  CHECK(before.certificate_name() == "first");
  rig.use(second);
  CHECK(rig.secure().certificate_name() == "second");
  CHECK(before.get("/livez").status == 200);
}

TEST_CASE("plain HTTP where TLS is spoken is told so, and a handshake has five seconds") {
  const Certificate certificate("one");
  SecureRig rig(certificate);
  Client plain = rig.client();
  const HttpAnswer answer = plain.get("/livez");
  CHECK(answer.status == 400);
  CHECK(answer.json()["message"].get<std::string>().find("https://") != std::string::npos);
  CHECK(plain.read_to_end().empty());
  Client nonsense = rig.client();
  nonsense.send("what is this? what is this?");
  nonsense.read_to_end();
  Client hanging = rig.client();
  hanging.send("\x16\x03\x01");
  Client silent = rig.secure();
  std::this_thread::sleep_for(Millis(300));
  rig.clock.forward(Seconds(5));
  CHECK(hanging.read_to_end().empty());
  // This one has shaken hands, and can be told.
  CHECK(silent.read_answer().status == 408);
}

TEST_CASE("clients that come and go over TLS leave nothing behind") {
  const Certificate certificate("one");
  SecureRig rig(certificate);
  for (int i = 0; i < 30; ++i) {
    Client client = rig.secure();
    client.open();
    client.subscribe("news", R"(,"snapshot":false)");
    rig.core.publish("news", 3, 50000);
  }
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
}

TEST_CASE("a certificate or key that can't be used is named, with the reason") {
  const Certificate one("one");
  const Certificate other("other");
  CHECK(TlsContext::load(one.file().string() + "x", one.key()).error().find("crt.pemx cannot be used: No such file") !=
        std::string::npos);
  CHECK(TlsContext::load(one.file(), other.key()).error().find("key values mismatch") != std::string::npos);
  std::ofstream(one.key()) << "nonsense";
  const auto refused = TlsContext::load(one.file(), one.key());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().starts_with("listen.tls.key: "));
}
