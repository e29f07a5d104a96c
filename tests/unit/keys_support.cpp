#include "keys_support.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace keys_test {

namespace fs = std::filesystem;

TempDir::TempDir() {
  std::string pattern = "/tmp/restream-keys-XXXXXX";
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path = pattern;
}
TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, std::string_view bytes, mode_t mode) {
  std::ofstream(path, std::ios::binary) << bytes;
  REQUIRE(chmod(path.c_str(), mode) == 0);
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

bool any_file_holds(const std::string& directory, std::string_view text) {
  for (const std::string& name : files_in(directory)) {
    if (read_file(directory + "/" + name).find(text) != std::string::npos) return true;
  }
  return false;
}

keys::MasterKey raw_key(std::span<const std::uint8_t> bytes) { return {false, Secret::copy_of(bytes), {}}; }

keys::Entries entries_of(std::string_view json) {
  auto entries = keys::parse_entries(json);
  REQUIRE(entries);
  return std::move(*entries);
}

std::string sealed_file(const keys::MasterKey& key, std::string_view json, int log2_n) {
  keys::Header header;
  keys::fill_random(header.id);
  header.gen = 12;
  header.kek = keys::new_kek(key, header.id, log2_n);
  const auto kek = keys::derive_kek(key, header);
  REQUIRE(kek);
  auto file = keys::seal_store(header, *kek, entries_of(json));
  REQUIRE(file);
  return std::move(*file);
}

namespace {

struct Pipe {
  Pipe() { REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0); }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(std::size_t which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
  std::array<int, 2> ends{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Both streams until they end; kills the process when its time is up.
void collect(Pipe& out, Pipe& err, Outcome& outcome, pid_t child, int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::array<pollfd, 2> polled{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (std::chrono::steady_clock::now() > end) kill(child, SIGKILL);
    poll(polled.data(), polled.size(), 200);
    for (std::size_t i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t count = read(polled[i].fd, buffer.data(), buffer.size());
      if (count <= 0) {
        polled[i].fd = -1;
      } else {
        (i == 0 ? outcome.out : outcome.err).append(buffer.data(), static_cast<std::size_t>(count));
      }
    }
  }
}

}  // namespace

Outcome run(const Spawn& spawn) {
  std::vector<std::string> arguments{RESTREAM_KEYS};
  arguments.insert(arguments.end(), spawn.arguments.begin(), spawn.arguments.end());
  std::vector<std::string> environment = spawn.environment;
  auto argument_pointers = pointers(arguments);
  auto environment_pointers = pointers(environment);
  Pipe in;
  Pipe out;
  Pipe err;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    setsid();
    dup2(in.ends[0], STDIN_FILENO);
    dup2(out.ends[1], STDOUT_FILENO);
    dup2(err.ends[1], STDERR_FILENO);
    if (spawn.in_child) spawn.in_child();
    execve(RESTREAM_KEYS, argument_pointers.data(), environment_pointers.data());
    _exit(127);
  }
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);
  signal(SIGPIPE, SIG_IGN);  // it may not want its input
  if (spawn.input) {
    std::string_view rest = *spawn.input;
    while (!rest.empty()) {
      const ssize_t count = write(in.ends[1], rest.data(), rest.size());
      if (count < 0) break;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
    in.close_end(1);
  }
  if (spawn.meanwhile) spawn.meanwhile(child);
  Outcome outcome;
  collect(out, err, outcome, child, spawn.seconds);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Store::Store() {
  const Outcome made = run({"init"});
  INFO(made.err);
  REQUIRE(made.code == 0);
}

std::vector<std::string> Store::arguments(std::vector<std::string> more) const {
  more.insert(more.end(), {"--file", file(), "--master-key", master()});
  return more;
}

Outcome Store::run(std::vector<std::string> more, std::optional<std::string> input) const {
  return keys_test::run({.arguments = arguments(std::move(more)), .input = std::move(input)});
}

std::string Store::get(const std::string& fetcher, const std::string& key) const {
  const auto master_key = keys::load_master_key({keys::MasterKeySource::Kind::file, master()}, keys::default_owners());
  REQUIRE(master_key);
  const auto store = keys::open_keystore(file(), *master_key, keys::default_owners());
  if (!store) FAIL(store.error().message);
  const Secret* value = keys::find_key(*store, fetcher, key);
  return value == nullptr ? "(none)" : std::string(value->view());
}

std::uint64_t Store::gen() const {
  const auto header = keys::peek_keystore(file(), keys::default_owners());
  REQUIRE(header);
  return header->gen;
}

}  // namespace keys_test
