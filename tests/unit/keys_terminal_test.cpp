// restream-keys at a terminal: what it shows, what it hides, and what it leaves behind.
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>

#include "keys_support.hpp"

namespace keys_test {

namespace {

constexpr const char* kSecret = "Zx9-very-secret-value-Qw7";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> with_passphrase(const TempDir& dir, std::vector<std::string> more) {
  more.insert(more.end(), {"--file", dir / "keys.restream", "--master-key", "passphrase"});
  return more;
}

struct AtTerminal {
  int code = -1;  // 128 + signal where one ended it
  std::string out;
  bool hid = false;    // echo was off at every prompt
  bool shows = false;  // echo is on afterwards
};

// Asked of the master's end, it tells of the other.
bool echoes(int terminal) {
  termios state{};
  REQUIRE(tcgetattr(terminal, &state) == 0);
  return (state.c_lflag & ECHO) != 0;
}

// Runs the command at a terminal of its own and answers each prompt (a text that ends in ": "); `at_prompt` is called
// before each answer.
AtTerminal run_at_terminal(std::vector<std::string> arguments, const std::vector<std::string>& answers,
                           const std::function<void()>& at_prompt = {}) {
  int terminal = -1;
  arguments.insert(arguments.begin(), RESTREAM_KEYS);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    execv(RESTREAM_KEYS, pointers.data());
    _exit(127);
  }
  AtTerminal outcome;
  outcome.hid = true;
  std::size_t answered = 0;
  std::array<char, 1024> buffer{};
  while (true) {
    const ssize_t count = read(terminal, buffer.data(), buffer.size());
    if (count <= 0) break;
    outcome.out.append(buffer.data(), static_cast<std::size_t>(count));
    if (answered < answers.size() && outcome.out.ends_with(": ")) {
      outcome.hid = outcome.hid && !echoes(terminal);
      if (at_prompt) at_prompt();
      const std::string line = answers[answered++] + "\n";
      REQUIRE(write(terminal, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  outcome.shows = echoes(terminal);
  close(terminal);
  CHECK(answered == answers.size());
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace

TEST_CASE("what is typed at the terminal is not shown") {
  const Store store;
  const AtTerminal set = run_at_terminal(store.arguments({"set", "nyt-top", "api-key"}), {kSecret});
  INFO(set.out);
  CHECK(set.code == 0);
  CHECK(set.hid);
  CHECK(set.shows);
  CHECK_FALSE(has(set.out, kSecret));
  CHECK(store.get("nyt-top", "api-key") == kSecret);
}

TEST_CASE("a value of several lines that is pasted at the terminal is refused, not cut to its first line") {
  const Store store;
  for (const char* pasted : {"-----BEGIN KEY-----\nZx9-very-secret\n-----END KEY-----", "Zx9-very-secret\n"}) {
    const AtTerminal set = run_at_terminal(store.arguments({"set", "nyt-top", "api-key"}), {pasted});
    INFO(set.out);
    CHECK(set.code == 2);
    CHECK(set.shows);
    CHECK(has(set.out, "more than one line came"));
    CHECK(has(set.out, "standard input"));
    CHECK_FALSE(has(set.out, "secret"));
    CHECK(store.run({"get", "nyt-top", "api-key", "--reveal"}).code == 3);
  }
}

TEST_CASE("a new passphrase is asked for twice; two that differ make nothing") {
  const TempDir dir;
  const AtTerminal differ = run_at_terminal(with_passphrase(dir, {"init"}), {"one phrase", "another"});
  CHECK(differ.code == 2);
  CHECK(differ.shows);
  CHECK(has(differ.out, "the two differ; nothing was changed"));
  CHECK_FALSE(std::filesystem::exists(dir / "keys.restream"));
  const AtTerminal made = run_at_terminal(with_passphrase(dir, {"init"}), {"one phrase", "one phrase"});
  CHECK(made.code == 0);
  CHECK(made.hid);
  CHECK(made.shows);
  CHECK_FALSE(has(made.out, "one phrase"));
}

TEST_CASE("a wrong passphrase, twice in a row, changes nothing and locks nobody out") {
  const TempDir dir;
  REQUIRE(run_at_terminal(with_passphrase(dir, {"init"}), {"one phrase", "one phrase"}).code == 0);
  const std::string before = read_file(dir / "keys.restream");
  for (const char* wrong : {"two phrase", "one phrase "}) {
    const AtTerminal refused = run_at_terminal(with_passphrase(dir, {"list"}), {wrong});
    INFO(refused.out);
    CHECK(refused.code == 4);
    CHECK(refused.hid);
    CHECK(refused.shows);
    CHECK(has(refused.out, "wrong master key, or the header was altered: the passphrase does not open it"));
    CHECK(has(refused.out, "run the command again and give the passphrase anew"));
    CHECK_FALSE(has(refused.out, wrong));
    CHECK(read_file(dir / "keys.restream") == before);
  }
  CHECK(run_at_terminal(with_passphrase(dir, {"list"}), {"one phrase"}).code == 0);
}

TEST_CASE("after Ctrl-C the terminal shows again what is typed, and nothing was made") {
  const TempDir dir;
  for (const auto& answers : std::vector<std::vector<std::string>>{{"\x03"}, {"one phrase", "\x03"}}) {
    const AtTerminal stopped = run_at_terminal(with_passphrase(dir, {"init"}), answers);
    INFO(stopped.out);
    CHECK(stopped.code == 128 + SIGINT);
    CHECK(stopped.hid);
    CHECK(stopped.shows);
    CHECK(files_in(dir.path).empty());
  }
  const Store store;
  const std::string before = read_file(store.file());
  const auto files = files_in(store.dir.path);
  const AtTerminal set = run_at_terminal(store.arguments({"set", "a", "b"}), {"\x03"});
  CHECK(set.code == 128 + SIGINT);
  CHECK(set.shows);
  CHECK(read_file(store.file()) == before);
  CHECK(files_in(store.dir.path) == files);
}

TEST_CASE("an older keystore that is put in place while the value is typed is refused: exit code 8") {
  const Store store;
  REQUIRE(store.run({"set", "f", "k"}, "first").code == 0);
  const std::string older = read_file(store.file());
  REQUIRE(store.run({"set", "f", "k"}, "second").code == 0);
  const AtTerminal set =
      run_at_terminal(store.arguments({"set", "f", "k"}), {kSecret}, [&] { write_file(store.file(), older); });
  INFO(set.out);
  CHECK(set.code == 8);
  CHECK(has(set.out, "older"));
  CHECK(read_file(store.file()) == older);
  CHECK(read_file(store.file() + ".audit")
            .ends_with(R"("result":"rollback"})"
                       "\n"));
}

}  // namespace keys_test
