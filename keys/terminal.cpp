#include "keys/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "keys/files.hpp"

namespace restream::keys {

namespace {

constexpr std::size_t kTerminalLine = 4095;  // the kernel cuts longer lines
constexpr int kPasteMilliseconds = 50;

KeysError usage(std::string message) { return {KeysErrorKind::usage, std::move(message)}; }

volatile sig_atomic_t caught_signal = 0;
void remember_signal(int number) { caught_signal = number; }

// While it lives, the terminal shows nothing, and the signals that would end the process only interrupt the reading,
// so that the terminal is never left blind.
class HiddenInput {
 public:
  explicit HiddenInput(int fd) : fd_(fd) {
    ok_ = tcgetattr(fd_, &before_) == 0;
    if (!ok_) return;
    caught_signal = 0;
    struct sigaction action{};
    action.sa_handler = remember_signal;  // without SA_RESTART: read() comes back
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &handlers_[i]);
    action.sa_handler = SIG_IGN;
    sigaction(SIGTSTP, &action, &stop_handler_);
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
    hidden.c_lflag |= ICANON;
    ok_ = tcsetattr(fd_, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenInput() {
    tcsetattr(fd_, TCSAFLUSH, &before_);
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &handlers_[i], nullptr);
    sigaction(SIGTSTP, &stop_handler_, nullptr);
    if (caught_signal != 0) raise(caught_signal);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }
  // Whether there is more than the line that was read: somebody has pasted several. Without ICANON also what has no
  // line end yet shows; what is pasted at once arrives at once, nearly.
  [[nodiscard]] bool has_more() const {
    termios now{};
    if (tcgetattr(fd_, &now) != 0) return false;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON);
    tcsetattr(fd_, TCSANOW, &now);
    pollfd pending{fd_, POLLIN, 0};
    return poll(&pending, 1, kPasteMilliseconds) > 0;
  }

 private:
  static constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  int fd_;
  bool ok_ = false;
  termios before_{};
  std::array<struct sigaction, 4> handlers_{};
  struct sigaction stop_handler_{};
};

}  // namespace

std::expected<Secret, KeysError> ask_hidden(const std::string& prompt) {
  const Fd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  // A background job that touches the terminal is stopped by the kernel: for whoever waits for it, a hang.
  if (!terminal || tcgetpgrp(terminal.get()) != getpgrp()) {
    return std::unexpected(usage("there is no terminal to ask for " + prompt));
  }
  const HiddenInput hidden(terminal.get());
  if (!hidden.ok()) return std::unexpected(usage("the terminal cannot be kept from showing " + prompt));
  write_all(terminal.get(), prompt + ": ");
  Secret line(kTerminalLine + 1);
  ssize_t count = -1;
  do {
    count = read(terminal.get(), line.bytes().data(), line.size());
  } while (count < 0 && errno == EINTR && caught_signal == 0);
  write_all(terminal.get(), "\n");
  if (count > 0 && hidden.has_more()) {
    return std::unexpected(
        usage("more than one line came for " + prompt + ", and a terminal gives one: use standard input instead"));
  }
  if (count <= 0) return std::unexpected(usage("nothing was typed for " + prompt));
  line.shrink(static_cast<std::size_t>(count));
  if (line.view().ends_with('\n')) {
    line.shrink(line.size() - 1);
  } else if (line.size() >= kTerminalLine) {
    return std::unexpected(usage("a terminal takes no more than 4095 bytes in a line: use standard input instead"));
  }
  if (line.empty()) return std::unexpected(usage("nothing was typed for " + prompt));
  return line;
}

bool StandardInput::is_terminal() { return isatty(STDIN_FILENO) == 1; }

std::expected<Secret, KeysError> StandardInput::read_line(const std::string& what) {
  Secret piece(4096);
  while (buffer_.view().find('\n') == std::string_view::npos && buffer_.size() < piece.size()) {
    const ssize_t count = read(STDIN_FILENO, piece.bytes().data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(system_error("cannot read", "standard input"));
    if (count == 0) break;
    buffer_.append(piece.view().substr(0, static_cast<std::size_t>(count)));
  }
  const auto end = buffer_.view().find('\n');
  if (end == std::string_view::npos && buffer_.size() >= piece.size()) {
    return std::unexpected(usage("the line with " + what + " on standard input is too long"));
  }
  Secret line = Secret::copy_of(buffer_.view().substr(0, end));
  buffer_.drop_front(end == std::string_view::npos ? buffer_.size() : end + 1);
  if (line.view().ends_with('\r')) line.shrink(line.size() - 1);
  if (line.empty()) return std::unexpected(usage("standard input has no line with " + what));
  return line;
}

std::expected<Secret, KeysError> StandardInput::read_rest(std::size_t limit) {
  Secret all = std::exchange(buffer_, Secret());
  auto rest = read_secret(STDIN_FILENO, "standard input", limit, KeysErrorKind::usage);
  if (!rest) return rest;
  all.append(rest->view());
  if (all.size() > limit) return std::unexpected(usage("there is too much on standard input"));
  return all;
}

void strip_line_end(Secret& value) {
  if (!value.view().ends_with('\n')) return;
  value.shrink(value.size() - 1);
  if (value.view().ends_with('\r')) value.shrink(value.size() - 1);
}

}  // namespace restream::keys
