// TLS and HTTP/2, against a server that speaks both.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

extern char** environ;

namespace {

// Prints its port, then answers each request with protocol, host and how many connections there have been. Says
// "shared" when the connection carries another request at the same time.
constexpr auto server_text = R"js(
const fs = require("fs"), http2 = require("http2");
let sessions = 0;
const server = http2.createSecureServer({key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem"),
                                         allowHTTP1: true});
const open = new Map();
server.on("session", () => ++sessions);
server.on("request", (request, response) => {
  const session = request.stream?.session;
  open.set(session, (open.get(session) ?? 0) + 1);
  setTimeout(() => {
    response.end(request.httpVersion + " " + (request.headers[":authority"] ?? request.headers.host) + " " + sessions +
                 (open.get(session) > 1 ? " shared" : ""));
    open.set(session, open.get(session) - 1);
  }, 10);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
)js";

// Prints its port; hangs on the first connection and answers on all others.
constexpr auto first_hangs_text = R"js(
const fs = require("fs"), tls = require("tls");
let connections = 0;
const options = {key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem")};
if (process.argv[2]) options.ALPNProtocols = [process.argv[2]];
const server = tls.createServer(options, (socket) => {
  const hangs = ++connections === 1;
  socket.on("error", () => {});
  socket.on("data", () => hangs || socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
)js";

// A child process whose standard output we read; ends with this object.
class Child {
 public:
  Child(const std::vector<std::string>& words, const std::filesystem::path& folder) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    std::vector<char*> arguments;
    std::vector<std::string> copies = words;
    for (std::string& word : copies) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int code = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    out_ = ends[0];
    if (code != 0) FAIL("cannot start " << words.front() << ": " << std::strerror(code));
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    wait();
    ::close(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int wait() {
    int status = 0;
    if (!ended_) ::waitpid(pid_, &status, 0);
    ended_ = true;
    return status;
  }
  std::string line() const {
    std::string text;
    char c = 0;
    while (::read(out_, &c, 1) == 1 && c != '\n') text += c;
    return text;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  bool ended_ = false;
};

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "restream-http-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

void make_certificate(const Folder& folder) {
  REQUIRE(Child({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=test", "-addext",
                 "subjectAltName=DNS:localhost"},
                folder.path)
              .wait() == 0);
}

}  // namespace

TEST_CASE("a server that speaks no HTTP/2 and hangs on one request holds up no other") {
  const Folder folder;
  make_certificate(folder);
  std::ofstream(folder.path / "server.js") << first_hangs_text;
  for (const std::string protocol : {"http/1.1", ""}) {
    INFO("ALPN: '" << protocol << "'");
    const Child server({"node", "server.js", protocol}, folder.path);
    const std::string origin = "https://localhost:" + server.line();
    HttpClient client(HttpOptions{.ca_file = (folder.path / "cert.pem").string(), .user_agent = "x"}, real_clock());
    const SteadyTime asked = std::chrono::steady_clock::now();
    std::vector<std::future<HttpResult>> all;
    for (int i = 0; i < 10; ++i) all.push_back(start(client, get(origin, "/", 30s)));
    int answered = 0;
    while (std::chrono::steady_clock::now() < asked + 20s && answered < 9) {
      answered = static_cast<int>(std::ranges::count_if(all, [](const auto& one) {  //
        return one.wait_for(10ms) == std::future_status::ready;
      }));
    }
    CHECK(answered == 9);
  }
}

TEST_CASE("over TLS requests use HTTP/2 and kept connections, and only trusted certificates do") {
  const Folder folder;
  make_certificate(folder);
  std::ofstream(folder.path / "server.js") << server_text;
  const Child server({"node", "server.js"}, folder.path);
  const std::string port = server.line();
  REQUIRE_FALSE(port.empty());
  const std::string origin = "https://localhost:" + port;

  HttpClient client(HttpOptions{.ca_file = (folder.path / "cert.pem").string(), .user_agent = "x"}, real_clock());
  for (int i = 0; i < 10; ++i) CHECK(got(client, get(origin, "/")).body == "2.0 localhost:" + port + " 1");

  // Many at once take a connection each: libcurl 7.88 loses streams that share one.
  std::vector<std::future<HttpResult>> all;
  for (int i = 0; i < 30; ++i) all.push_back(start(client, get(origin, "/" + std::to_string(i))));
  for (auto& one : all) {
    const HttpResult result = one.get();
    if (!result) FAIL(result.error().message);
    CHECK_THAT(result->body, Catch::StartsWith("2.0 localhost:" + port) && !Catch::Contains("shared"));
  }

  // The name in the certificate counts.
  const HttpError wrong_name = refused(client, get("https://127.0.0.1:" + port, "/?key=hidden"));
  CHECK(wrong_name.problem == HttpProblem::unreachable);
  CHECK(wrong_name.requests == 0);
  CHECK_THAT(wrong_name.message, Catch::Contains("SSL") && !Catch::Contains("hidden"));

  // The API's name stays in the request, though the certificate is that of where it is sent.
  const HttpResult moved = ask(client, get("https://api.example/x", rules_for("https://api.example", true, origin)));
  if (!moved) FAIL(moved.error().message);
  CHECK_THAT(moved->body, Catch::StartsWith("2.0 api.example "));

  HttpClient stranger(HttpOptions{.user_agent = "x"}, real_clock());
  CHECK(refused(stranger, get(origin, "/")).problem == HttpProblem::unreachable);
}
