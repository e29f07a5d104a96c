#include "fetch/sandbox_probe.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>

#include "fetch/host_process_lines.hpp"
#include "fetch/host_process_spawn.hpp"

namespace restream {
namespace {

constexpr std::chrono::seconds patience{20};  // it takes milliseconds; a sanitized one on a busy machine, more
constexpr std::string_view last_line = "probed";

// The lines it prints until it closes; nothing when it does not in time.
std::optional<std::vector<std::string>> read_lines(int fd) {
  const auto end = std::chrono::steady_clock::now() + patience;
  LineSplitter splitter;
  std::vector<std::string> lines;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, static_cast<int>(left.count())) <= 0) continue;
    std::array<char, 4096> bytes;
    const ssize_t size = read(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return lines;
    for (auto& line : splitter.feed({bytes.data(), static_cast<std::size_t>(size)})) lines.push_back(clean_line(line));
  }
}

}  // namespace

std::expected<std::vector<std::string>, std::string> probe_sandbox(const std::filesystem::path& host) {
  auto spawned = spawn_host(host, "--probe");
  if (!spawned) return std::unexpected("the fetcher host cannot be started: " + spawned.error());
  auto lines = read_lines(spawned->standard_output.get());
  if (!lines) kill_host(spawned->pid);
  const HostExit exit = reap_host(spawned->process.get());
  if (lines && !lines->empty() && lines->back() == last_line) {
    lines->pop_back();
    return std::move(*lines);
  }
  const auto words = lines ? read_lines(spawned->standard_error.get()) : std::nullopt;
  return std::unexpected("the fetcher host " + host.string() + " could not try its sandbox: " + exit.text +
                         (words && !words->empty() ? "; its last line: " + words->back() : ""));
}

}  // namespace restream
