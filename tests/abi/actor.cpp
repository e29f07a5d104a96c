// A plugin that misbehaves on demand: the request's first word says how, the rest is its argument.
#include <fcntl.h>
#include <restream/fetcher.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

extern char** environ;

extern "C" RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher;
const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

namespace {

using Act = std::int32_t (*)(const restream_call* call, const std::string& argument);

std::int32_t emit(const restream_call* call, std::string_view text) {
  return call->emit(call, text.data(), text.size());
}

void log(const restream_call* call, std::int32_t level, std::string_view line) {
  call->log(call, level, line.data(), line.size());
}

void sleep_millis(const std::string& millis) {
  std::this_thread::sleep_for(std::chrono::milliseconds(std::stol(millis)));
}

[[noreturn]] void hang() {
  for (;;) pause();
}

restream_text text(const std::string& string) { return {string.data(), string.size()}; }

// Asks for the URL and emits "code status error body name=value …".
std::int32_t ask_for(const restream_call* call, const std::string& url, const std::string& body) {
  const std::string method = "POST";
  const std::string name = "x-test";
  const std::string value = "yes";
  const restream_header header{text(name), text(value)};
  const restream_http_request request{sizeof request, 1, text(method), text(url), &header, text(body)};
  restream_http_response response{};
  response.size = sizeof response;
  const std::int32_t code = call->http(call, &request, &response);
  std::string out = std::to_string(code) + ' ' + std::to_string(response.status) + " [";
  out += std::string_view(response.error.data == nullptr ? "" : response.error.data, response.error.size);
  out += "] [";
  out += std::string_view(response.body.data == nullptr ? "" : response.body.data, response.body.size);
  out += ']';
  for (std::uint32_t i = 0; i < response.header_count; ++i)
    out += ' ' + std::string(response.headers[i].name.data, response.headers[i].name.size) + '=' +
           std::string(response.headers[i].value.data, response.headers[i].value.size);
  return emit(call, out);
}

std::int32_t http(const restream_call* call, const std::string& url) { return ask_for(call, url, "the body"); }

// "MIB URL": with so much of a body.
std::int32_t post(const restream_call* call, const std::string& argument) {
  const auto space = argument.find(' ');
  return ask_for(call, argument.substr(space + 1), std::string(std::stoul(argument) << 20U, 'x'));
}

// Arguments that make no sense must be refused, not followed.
std::int32_t bad_arguments(const restream_call* call, const std::string&) {
  std::string out;
  restream_http_request request{};
  restream_http_response response{};
  const auto ask = [&] { out += std::to_string(call->http(call, &request, &response)) + ' '; };
  ask();  // no sizes
  response.size = sizeof response;
  ask();
  request.size = sizeof request;
  ask();  // no URL
  request.url = {nullptr, 5};
  ask();
  request.url = {"https://x/", 10};
  request.header_count = 1;
  ask();
  request.header_count = 100'000;
  static const std::map<int, int> unused;
  request.headers = reinterpret_cast<const restream_header*>(&unused);  // must not be looked at
  ask();
  request.header_count = 0;
  request.body = {"x", 17U << 20U};
  ask();
  out += std::to_string(call->http(call, nullptr, &response)) + ' ';
  out += std::to_string(call->http(call, &request, nullptr)) + ' ';
  out += std::to_string(call->emit(call, nullptr, 1)) + ' ';
  out += std::to_string(call->emit(call, nullptr, 0));
  call->log(call, RESTREAM_INFO, nullptr, 10);
  log(call, 77, "a level that there is not");
  return emit(call, out);
}

std::int32_t process(const restream_call* call, const std::string&) {
  std::string out = "fds";
  for (int fd = 0; fd < 64; ++fd)
    if (fcntl(fd, F_GETFD) != -1) out += ' ' + std::to_string(fd);
  out += "; environment";
  for (char** entry = environ; *entry != nullptr; ++entry) out += ' ' + std::string(*entry);
  out += "; no_new_privs " + std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  out += "; dumpable " + std::to_string(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  struct sigaction pipe_action{};
  sigaction(SIGPIPE, nullptr, &pipe_action);
  out += "; blocked " + std::to_string(sigismember(&blocked, SIGTERM)) + "; pipe " +
         (pipe_action.sa_handler == SIG_DFL ? "default" : "changed");
  const auto limit = [&out](const char* name, auto what) {
    rlimit value{};
    getrlimit(what, &value);
    out += "; " + std::string(name) + ' ' + std::to_string(value.rlim_cur) + '/' + std::to_string(value.rlim_max);
  };
  limit("core", RLIMIT_CORE);
  limit("fsize", RLIMIT_FSIZE);
  limit("nofile", RLIMIT_NOFILE);
  limit("data", RLIMIT_DATA);
  return emit(call, out);
}

// Says to the daemon, past the host, "NUMBER of bytes in a frame of TYPE": what only a host would send that has been
// taken over. It belongs to the first call.
[[noreturn]] void send_frame(const std::string& argument) {
  const auto little = [](std::uint64_t value, std::size_t bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const auto type = static_cast<char>(argument.at(0) - '0');
  const std::size_t size = std::stoul(argument.substr(2));
  // What is before the text: a result's code, a request's number, method, URL and headers, a line's level.
  const std::string before = type == 7   ? little(0, 4)
                             : type == 8 ? little(1, 4) + little(0, 4) + little(9, 4) + "https://x" + little(0, 4)
                                         : little(RESTREAM_INFO, 1);
  std::string frame = type + little(1, 8) + before + little(size, 4);
  frame = little(frame.size() + size, 4) + frame + std::string(size, 'x');
  for (std::size_t at = 0; at < frame.size();) {
    const ssize_t sent = write(3, frame.data() + at, frame.size() - at);
    if (sent < 0) break;
    at += static_cast<std::size_t>(sent);
  }
  hang();
}

// Never destroyed: other threads may be looking when exit() is acted out.
const auto& acts = *new const std::map<std::string, Act>{
    {"echo", [](const restream_call* call, const std::string& argument) { return emit(call, argument); }},
    {"code", [](const restream_call*, const std::string& argument) { return std::stoi(argument); }},
    {"sleep",
     [](const restream_call* call, const std::string& argument) {
       sleep_millis(argument);
       return emit(call, argument);
     }},
    {"later",
     [](const restream_call* call, const std::string& argument) {
       sleep_millis(argument);
       return emit(call, std::string(100'000, 'x'));
     }},
    {"crash", [](const restream_call*, const std::string&) { return std::int32_t{raise(SIGSEGV)}; }},
    {"abort", [](const restream_call*, const std::string&) -> std::int32_t { std::abort(); }},
    {"exit", [](const restream_call*, const std::string& argument) -> std::int32_t { std::exit(std::stoi(argument)); }},
    {"hang", [](const restream_call*, const std::string&) -> std::int32_t { hang(); }},
    {"throw",
     [](const restream_call*, const std::string& argument) -> std::int32_t { throw std::runtime_error(argument); }},
    {"throw-number", [](const restream_call*, const std::string&) -> std::int32_t { throw 42; }},
    {"large",
     [](const restream_call* call, const std::string& argument) {
       const std::string part(1U << 20U, 'x');
       for (int i = std::stoi(argument); i > 0; --i) emit(call, part);
       return std::int32_t{RESTREAM_OK};
     }},
    {"endless",
     [](const restream_call* call, const std::string&) {
       const std::string part(1000, 'x');
       while (emit(call, part) == RESTREAM_OK) {
       }
       return std::int32_t{RESTREAM_OK};  // as if nothing had happened
     }},
    {"leak",
     [](const restream_call*, const std::string&) -> std::int32_t {
       static std::vector<std::string> kept;
       for (;;) kept.emplace_back(1U << 20U, 'x');
     }},
    {"print",
     [](const restream_call*, const std::string& argument) {
       std::printf("out: %s\n", argument.c_str());
       std::fflush(stdout);
       std::fprintf(stderr, "err: %s\n", argument.c_str());
       return std::int32_t{RESTREAM_OK};
     }},
    {"print-flood",
     [](const restream_call*, const std::string& argument) {
       for (int i = std::stoi(argument); i > 0; --i) std::printf("line %d\n", i);
       std::fflush(stdout);
       return std::int32_t{RESTREAM_OK};
     }},
    {"last-words",
     [](const restream_call*, const std::string& argument) -> std::int32_t {
       std::fprintf(stderr, "%s", argument.c_str());  // no line end
       _exit(9);
     }},
    {"log",
     [](const restream_call* call, const std::string& argument) {
       log(call, RESTREAM_DEBUG, argument);
       log(call, RESTREAM_ERROR, "two\nlines \x1b[31mred \xff");
       return std::int32_t{RESTREAM_OK};
     }},
    {"log-flood",
     [](const restream_call* call, const std::string& argument) {
       for (int i = std::stoi(argument); i > 0; --i) log(call, RESTREAM_INFO, "again");
       return std::int32_t{RESTREAM_OK};
     }},
    {"http", &http},
    {"post", &post},
    {"http-twice",
     [](const restream_call* call, const std::string& argument) {
       http(call, argument);
       return http(call, argument);
     }},
    {"bad-arguments", &bad_arguments},
    {"until-cancelled",
     [](const restream_call* call, const std::string&) {
       while (!call->cancelled(call)) sleep_millis("1");
       return emit(call, "cancelled");
     }},
    {"garbage",
     [](const restream_call*, const std::string&) -> std::int32_t {
       const std::string bytes(100, '\xFF');
       static_cast<void>(!write(3, bytes.data(), bytes.size()));
       hang();
     }},
    {"false-result",
     [](const restream_call*, const std::string&) -> std::int32_t {
       // A Result of a call that there is not.
       const char bytes[] = "\x11\0\0\0\x07\xEE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
       static_cast<void>(!write(3, bytes, sizeof bytes - 1));
       hang();
     }},
    {"frame", [](const restream_call*, const std::string& argument) -> std::int32_t { send_frame(argument); }},
    {"hang-up",
     [](const restream_call*, const std::string&) -> std::int32_t {
       shutdown(3, SHUT_WR);
       hang();
     }},
    {"close",
     [](const restream_call*, const std::string& argument) {
       // Past the C library: ThreadSanitizer would report the race that this is.
       syscall(SYS_close, std::stoi(argument));
       return std::int32_t{RESTREAM_OK};
     }},
    {"fork",
     [](const restream_call* call, const std::string&) -> std::int32_t {
       const pid_t child = fork();
       if (child == 0) {
         signal(SIGHUP, SIG_IGN);
         hang();
       }
       return emit(call, std::to_string(child));
     }},
    {"process", &process},
};

}  // namespace

extern "C" int32_t metadata(const restream_call* call) { return emit(call, R"({"name": "actor"})"); }

extern "C" int32_t fetch(const restream_call* call) {
  const std::string request(call->request.data, call->request.size);
  const auto space = request.find(' ');
  const auto act = acts.find(request.substr(0, space));
  if (act == acts.end()) return RESTREAM_BAD_REQUEST;
  return act->second(call, space == std::string::npos ? "" : request.substr(space + 1));
}
