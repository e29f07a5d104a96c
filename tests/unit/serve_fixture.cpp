#include "serve_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <utility>

namespace restream::test {

bool eventually(const std::function<bool()>& condition, Millis limit) {
  const SteadyTime end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(Millis(2));
  }
  return true;
}

Clock MovedClock::clock() {
  return {.steady =
              [state = state_] {
                const SteadyTime now = state->stopped ? state->at.load() : std::chrono::steady_clock::now();
                return now + Millis(state->offset);
              },
          .wall = [] { return std::chrono::system_clock::now(); }};
}

void MovedClock::stop() {
  state_->at = std::chrono::steady_clock::now();
  state_->stopped = true;
}

// --- FakeCore ---

FakeCore::Channel& FakeCore::channel(const std::string& fetcher, const Params& params) {
  const ChannelId id = make_channel_id(fetcher, params);
  Channel& channel = channels_[id.text];
  if (channel.number == 0) {
    channel.number = static_cast<ChannelNumber>(channels_.size());
    channel.fetcher = fetcher;
    channel.label = std::make_shared<const std::string>(channel_label(id));
  }
  return channel;
}

FakeCore::Channel* FakeCore::by_number(ChannelNumber number) {
  for (auto& [_, channel] : channels_)
    if (channel.number == number) return &channel;
  return nullptr;
}

void FakeCore::answer(std::atomic<bool>& hold, std::function<void()> reply) {
  if (hold)
    held_.push_back(std::move(reply));
  else
    reply();
}

void FakeCore::release() {
  std::deque<std::function<void()>> held;
  {
    const std::scoped_lock lock(mutex_);
    held.swap(held_);
  }
  for (const auto& reply : held) reply();
}

std::size_t FakeCore::held() {
  const std::scoped_lock lock(mutex_);
  return held_.size();
}

Feed FakeCore::feed() {
  Feed feed;
  feed.attach = [this](AttachRequest request, std::function<void(std::expected<Attached, FeedError>)> done) {
    const std::scoped_lock lock(mutex_);
    if (request.fetcher == "nobody")
      return done(std::unexpected(FeedError{.code = "unknown_channel", .message = "no such fetcher"}));
    Channel& one = channel(request.fetcher, request.params);
    ++attaches_;
    last_address = request.address;
    const std::string key = std::to_string(request.serve) + '/' + std::to_string(one.number) + '/' +
                            std::to_string(static_cast<int>(request.deliver)) + '/' + request.address;
    ++counts_[key];
    Attached attached{.channel = one.number,
                      .label = one.label,
                      .head = {.epoch = fake_epoch, .offset = one.events.size()},
                      .resumed = false,
                      .cursor = 0,
                      .status = nullptr};
    const auto since = parse_position(request.since);
    if (since && since->epoch == fake_epoch && since->offset + 1 >= one.first && since->offset <= one.events.size()) {
      attached.resumed = true;
      attached.cursor = since->offset;
    }
    if (!status_at_attach.empty())
      attached.status = frame(R"({"type":"status",)" + *one.label + R"(,"state":")" + status_at_attach + "\"}");
    answer(hold_attach, [done = std::move(done), attached] { done(attached); });
  };
  feed.detach = [this](ServeNumber serve, ChannelNumber number, Deliver deliver, const std::string& address) {
    const std::scoped_lock lock(mutex_);
    ++detaches_;
    --counts_[std::to_string(serve) + '/' + std::to_string(number) + '/' + std::to_string(static_cast<int>(deliver)) +
              '/' + address];
  };
  feed.resolve = [this](const std::string& fetcher, const Params& params,
                        const std::function<void(std::expected<Feed::Resolved, FeedError>)>& done) {
    const std::scoped_lock lock(mutex_);
    if (fetcher == "nobody")
      return done(std::unexpected(FeedError{.code = "unknown_channel", .message = "no such fetcher"}));
    const Channel& one = channel(fetcher, params);
    done(Feed::Resolved{.channel = one.number, .label = *one.label});
  };
  feed.read_events = [this](ChannelNumber number, std::uint64_t after, Deliver deliver, std::size_t max_bytes,
                            std::function<void(std::expected<HistoryChunk, HistoryProblem>)> done) {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    const Channel& one = *by_number(number);
    if (reads_fail) return done(std::unexpected(HistoryProblem{.gone = false, .message = "the disk is on fire"}));
    if (after + 1 < one.first) return done(std::unexpected(HistoryProblem{.gone = true, .message = {}}));
    HistoryChunk chunk;
    std::string bytes;
    for (std::uint64_t i = after; i < one.events.size() && (bytes.empty() || bytes.size() < max_bytes); ++i) {
      append_frame(bytes, event_json(*one.label, fake_epoch, one.events[i], deliver));
      chunk.last = i + 1;
    }
    if (!bytes.empty()) chunk.frames = std::make_shared<const std::string>(std::move(bytes));
    answer(hold_reads, [done = std::move(done), chunk] { done(chunk); });
  };
  feed.read_snapshot = [this](ChannelNumber number,
                              std::function<void(std::expected<SnapshotChunk, HistoryProblem>)> done) {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    if (reads_fail) return done(std::unexpected(HistoryProblem{.gone = false, .message = "the disk is on fire"}));
    const Channel& one = *by_number(number);
    SnapshotChunk chunk;
    chunk.offset = one.events.size();
    chunk.frames = frame(snapshot_json(*one.label, {.epoch = fake_epoch, .offset = chunk.offset}, {}));
    answer(hold_reads, [done = std::move(done), chunk] { done(chunk); });
  };
  feed.get_channel = [this](const std::string& fetcher, const Params& params, const std::string&,
                            const std::function<void(Document)>& done) {
    const std::scoped_lock lock(mutex_);
    last_get = make_channel_id(fetcher, params).text;
    if (fetcher == "nobody")
      return done({.status = 404, .json = R"({"type":"error","code":"unknown_channel","message":"none"})", .etag = ""});
    if (fetcher == "full")
      return done({.status = 503, .json = R"({"type":"error","code":"unavailable","message":"full"})", .etag = ""});
    if (fetcher == "huge") return done({.status = 200, .json = std::string(8U << 20U, 'x'), .etag = ""});
    done({.status = 200, .json = R"({"type":"snapshot"})", .etag = "\"tag\""});
  };
  feed.get_channels = [](const std::function<void(Document)>& done) {
    done({.status = 200, .json = R"({"channels":[]})", .etag = ""});
  };
  feed.get_fetchers = [](const std::optional<std::string>& fetcher, const std::function<void(Document)>& done) {
    done({.status = 200, .json = fetcher ? R"({"name":")" + *fetcher + "\"}" : R"({"fetchers":[]})", .etag = ""});
  };
  feed.get_readiness = [this](const std::function<void(Readiness)>& done) {
    done({.ready = ready, .reason = ready ? "" : "the store is not open"});
  };
  return feed;
}

void FakeCore::append(const std::string& fetcher, std::size_t count) {
  const std::scoped_lock lock(mutex_);
  Channel& one = channel(fetcher, {});
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t offset = one.events.size() + 1;
    one.events.push_back(
        {.offset = offset,
         .time = {},
         .change = {
             .kind = ChangeKind::updated_item, .id = std::to_string(offset), .item = "{\"n\":1}", .patch = "[]"}});
  }
}

void FakeCore::publish(const std::string& fetcher, std::size_t count, std::size_t item_size) {
  const std::scoped_lock lock(mutex_);
  Channel& one = channel(fetcher, {});
  Announcement announcement{.channel = one.number, .after = one.events.size(), .last = 0, .frames = {}};
  append(fetcher, count);
  for (std::uint64_t i = announcement.after; i < one.events.size(); ++i)
    one.events[i].change.item = '"' + std::string(item_size, 'x') + '"';
  announcement.last = one.events.size();
  for (std::size_t form = 0; form < deliver_forms; ++form)
    announcement.frames[form] = frame_events(*one.label, fake_epoch, std::span(one.events).subspan(announcement.after),
                                             static_cast<Deliver>(form));
  announce(std::move(announcement));
}

void FakeCore::announce(Announcement announcement) {
  const std::scoped_lock lock(mutex_);
  const auto shared = std::make_shared<const Announcement>(std::move(announcement));
  for (const ServeThread& thread : threads_) thread.announce(shared);
}

void FakeCore::announce_status(const std::string& fetcher, const std::string& state) {
  const std::scoped_lock lock(mutex_);
  const Channel& one = channel(fetcher, {});
  const Frames bytes = frame(R"({"type":"status",)" + *one.label + R"(,"state":")" + state + "\"}");
  for (const ServeThread& thread : threads_) thread.announce_status({.channel = one.number, .frame = bytes});
}

ChannelNumber FakeCore::number(const std::string& fetcher) {
  const std::scoped_lock lock(mutex_);
  return channel(fetcher, {}).number;
}

void FakeCore::forget_before(const std::string& fetcher, std::uint64_t offset) {
  const std::scoped_lock lock(mutex_);
  channel(fetcher, {}).first = offset;
}

int FakeCore::attached() {
  const std::scoped_lock lock(mutex_);
  int sum = 0;
  for (const auto& [key, count] : counts_) {
    if (count < 0) throw std::logic_error("detached more often than attached: " + key);
    sum += count;
  }
  return sum;
}

int FakeCore::attaches() {
  const std::scoped_lock lock(mutex_);
  return attaches_;
}
int FakeCore::detaches() {
  const std::scoped_lock lock(mutex_);
  return detaches_;
}
int FakeCore::reads() {
  const std::scoped_lock lock(mutex_);
  return reads_;
}

// --- Client ---

int Frame::code() const {
  if (opcode != 8 || payload.size() < 2) return 0;
  return (static_cast<unsigned char>(payload[0]) << 8) | static_cast<unsigned char>(payload[1]);
}

std::string HttpAnswer::header(const std::string& name) const {
  const std::size_t start = head.find("\r\n" + name + ": ");
  if (start == std::string::npos) return "";
  const std::size_t value = start + name.size() + 4;
  return head.substr(value, head.find("\r\n", value) - value);
}

Client::Client(std::uint16_t port, int receive_buffer, const std::string& address) {
  const bool v6 = address.find(':') != std::string::npos;
  socket_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(port);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  to6.sin6_port = htons(port);
  int connected = -1;
  if (v6) {
    ::inet_pton(AF_INET6, address.c_str(), &to6.sin6_addr);
    connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to6), sizeof to6);
  } else {
    ::inet_pton(AF_INET, address.c_str(), &to4.sin_addr);
    connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to4), sizeof to4);
  }
  if (connected != 0) throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void Client::half_close() { ::shutdown(socket_, SHUT_WR); }

bool Client::fill() {
  std::array<char, 65536> chunk{};
  const ssize_t size = ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (size < 0) {
    if (errno == EAGAIN) throw std::runtime_error("nothing came for 10 s");
    reset_ = errno == ECONNRESET;
  }
  if (size <= 0) return false;
  input_.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

std::string Client::read_to_end() {
  while (fill()) {
  }
  return std::exchange(input_, {});
}

HttpAnswer Client::get(const std::string& path, const std::string& headers, const std::string& method) {
  send(method + ' ' + path + " HTTP/1.1\r\nHost: localhost:8080\r\n" + headers + "\r\n");
  return read_answer(method != "HEAD");
}

HttpAnswer Client::read_answer(bool with_body) {
  HttpAnswer answer;
  std::size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return answer;
  answer.head = input_.substr(0, end + 2);
  input_.erase(0, end + 4);
  answer.status = std::stoi(answer.head.substr(9, 3));
  const std::string length = answer.header("Content-Length");
  const std::size_t size = with_body && answer.status >= 200 && !length.empty() ? std::stoul(length) : 0;
  while (input_.size() < size && fill()) {
  }
  answer.body = input_.substr(0, size);
  input_.erase(0, size);
  return answer;
}

int Client::upgrade(const std::string& headers, const std::string& path) {
  return get(path,
             "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                 headers)
      .status;
}

void Client::frame(int first_byte, std::string_view payload) {
  static constexpr std::string_view mask = "\x11\x22\x33\x44";
  std::string bytes;
  bytes += static_cast<char>(first_byte);
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80U | payload.size());
  } else {
    const bool large = payload.size() > 0xffff;
    bytes += static_cast<char>(large ? 0xff : 0xfe);
    for (int shift = large ? 56 : 8; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
  }
  bytes += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
  send(bytes);
}

Frame Client::read_frame() {
  const auto need = [this](std::size_t size) {
    while (input_.size() < size)
      if (!fill()) return false;
    return true;
  };
  if (!need(2)) return {.opcode = -1, .payload = {}};
  const int opcode = static_cast<unsigned char>(input_[0]) & 0x0f;
  std::size_t size = static_cast<unsigned char>(input_[1]);
  if (size > 127) throw std::runtime_error("a masked frame from a server");
  std::size_t head = 2;
  if (size >= 126) {
    head = size == 126 ? 4 : 10;
    if (!need(head)) return {.opcode = -1, .payload = {}};
    size = 0;
    for (std::size_t i = 2; i < head; ++i) size = size << 8U | static_cast<unsigned char>(input_[i]);
  }
  if (!need(head + size)) return {.opcode = -1, .payload = {}};
  Frame frame{.opcode = opcode, .payload = input_.substr(head, size)};
  input_.erase(0, head + size);
  return frame;
}

void Client::open() {
  if (upgrade() != 101) throw std::runtime_error("no upgrade");
  if (read_json()["type"] != "ready") throw std::runtime_error("not ready");
}

nlohmann::json Client::subscribe(const std::string& channel, const std::string& more) {
  text(R"({"action":"subscribe","channel":")" + channel + '"' + more + '}');
  return read_json();
}

// --- Rig ---

Rig::Rig(const std::function<void(ServerOptions&)>& change) {
  ServerOptions options;
  options.port = 0;
  options.threads = 2;
  options.version = "0.1.0";
  change(options);
  server = std::make_unique<Server>(options, clock.clock(), Log::none());
  core.serve_on(server->threads());
  if (auto started = server->start(core.feed()); !started) throw std::runtime_error(started.error());
}

Client Rig::open(int receive_buffer) {
  Client one = client(receive_buffer);
  one.open();
  return one;
}

}  // namespace restream::test
