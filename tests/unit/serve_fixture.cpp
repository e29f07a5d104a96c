#include "serve_fixture.hpp"

#include <stdexcept>
#include <thread>
#include <utility>

#include "channel/conflation.hpp"

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
    if (!may_see(request.visitor.access, make_channel_id(request.fetcher, request.params).text))
      return done(std::unexpected(FeedError{.code = "unauthorized", .message = "not for you"}));
    ++attaches_;
    last_address = request.visitor.address;
    const std::string key =
        std::to_string(request.serve) + '/' + std::to_string(one.number) + '/' + std::to_string(request.form.index());
    ++counts_[key];
    used_.at(request.form.index()) = true;
    Attached attached{.channel = one.number,
                      .form = request.form,
                      .label = one.label,
                      .head = {.epoch = fake_epoch, .offset = one.events.size()},
                      .resumed = false,
                      .cursor = 0,
                      .status = nullptr};
    if (request.filter) attached.form.filter = 1;
    const auto since = parse_position(request.since);
    if (since && since->epoch == fake_epoch && since->offset + 1 >= one.first && since->offset <= one.events.size()) {
      attached.resumed = true;
      attached.cursor = since->offset;
    }
    if (!status_at_attach.empty())
      attached.status = encode(request.form.framing, "status", {},
                               R"({"type":"status",)" + *one.label + R"(,"state":")" + status_at_attach + "\"}");
    answer(hold_attach, [done = std::move(done), attached] { done(attached); });
  };
  feed.detach = [this](ServeNumber serve, ChannelNumber number, Form form) {
    const std::scoped_lock lock(mutex_);
    ++detaches_;
    --counts_[std::to_string(serve) + '/' + std::to_string(number) + '/' + std::to_string(form.index())];
  };
  feed.resolve = [this](const std::string& fetcher, const Params& params, const Access&,
                        const std::function<void(std::expected<Feed::Resolved, FeedError>)>& done) {
    const std::scoped_lock lock(mutex_);
    if (fetcher == "nobody")
      return done(std::unexpected(FeedError{.code = "unknown_channel", .message = "no such fetcher"}));
    if (resolves_fail) return done(std::unexpected(FeedError{.code = "unavailable", .message = "it is disabled"}));
    const Channel& one = channel(fetcher, params);
    done(Feed::Resolved{.channel = one.number, .label = *one.label});
  };
  feed.read_events = [this](ChannelNumber number, std::uint64_t after, Form form, std::size_t max_bytes,
                            std::function<void(std::expected<HistoryChunk, HistoryProblem>)> done) {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    const Channel& one = *by_number(number);
    if (reads_fail) return done(std::unexpected(HistoryProblem{.gone = false, .message = "the disk is on fire"}));
    if (after + 1 < one.first) return done(std::unexpected(HistoryProblem{.gone = true, .message = {}}));
    HistoryChunk chunk;
    if (form.conflated) {
      Conflation conflation;
      conflation.add({one.events.begin() + static_cast<std::ptrdiff_t>(after), one.events.end()});
      const std::vector<Event> events = conflation.take();
      chunk.told = events.size();
      chunk.frames = frame_events(*one.label, fake_epoch, events, form);
      chunk.last = one.events.size();
      return answer(hold_reads, [done = std::move(done), chunk] { done(chunk); });
    }
    std::string bytes;
    for (std::uint64_t i = after; i < one.events.size() && (bytes.empty() || bytes.size() < max_bytes); ++i) {
      chunk.last = i + 1;
      if (form.filter != 0 && filter_odd && chunk.last % 2 == 1) continue;
      bytes += *frame_events(*one.label, fake_epoch, std::span(one.events).subspan(i, 1), form);
      ++chunk.told;
    }
    if (!bytes.empty()) chunk.frames = std::make_shared<const std::string>(std::move(bytes));
    answer(hold_reads, [done = std::move(done), chunk] { done(chunk); });
  };
  feed.read_snapshot = [this](ChannelNumber number, Form form,
                              std::function<void(std::expected<SnapshotChunk, HistoryProblem>)> done) {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    if (reads_fail) return done(std::unexpected(HistoryProblem{.gone = false, .message = "the disk is on fire"}));
    const Channel& one = *by_number(number);
    SnapshotChunk chunk;
    chunk.offset = one.events.size();
    chunk.frames = encode(form.framing, "snapshot", at(chunk.offset),
                          snapshot_json(*one.label, {.epoch = fake_epoch, .offset = chunk.offset}, {}));
    if (snapshot) chunk.frames = snapshot;
    answer(hold_reads, [done = std::move(done), chunk] { done(chunk); });
  };
  feed.get_channel = [this](const std::string& fetcher, const Params& params, const Visitor&,
                            const std::function<void(std::shared_ptr<const Document>)>& reply) {
    const std::scoped_lock lock(mutex_);
    const auto done = [&reply](Document document) { reply(std::make_shared<const Document>(std::move(document))); };
    last_get = make_channel_id(fetcher, params).text;
    if (fetcher == "nobody")
      return done({.status = 404, .json = R"({"type":"error","code":"unknown_channel","message":"none"})", .etag = ""});
    if (fetcher == "full")
      return done({.status = 503, .json = R"({"type":"error","code":"unavailable","message":"full"})", .etag = ""});
    if (fetcher == "huge") return reply(huge);
    done({.status = 200, .json = R"({"type":"snapshot"})", .etag = "\"tag\""});
  };
  feed.get_channels = [](const Access&, const std::function<void(Document)>& done) {
    done({.status = 200, .json = R"({"channels":[]})", .etag = ""});
  };
  feed.get_fetchers = [](const std::optional<std::string>& fetcher, const Access&,
                         const std::function<void(Document)>& done) {
    done({.status = 200, .json = fetcher ? R"({"name":")" + *fetcher + "\"}" : R"({"fetchers":[]})", .etag = ""});
  };
  feed.get_metrics = [](const std::function<void(std::string)>& done) { done("restream_build_info 1\n"); };
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
    one.events.push_back({.offset = offset,
                          .time = {},
                          .change = {.kind = ChangeKind::updated_item,
                                     .id = std::to_string(ids == 0 ? offset : offset % ids),
                                     .item = "{\"n\":1}",
                                     .patch = "[]"}});
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
  for (std::size_t form = 0; form < forms; ++form)
    if (used_.at(form))
      announcement.frames.at(form) =
          frame_events(*one.label, fake_epoch, std::span(one.events).subspan(announcement.after), form_at(form));
  Announcement::Filtered& filtered = announcement.filtered.emplace_back();
  filtered.filter = 1;
  std::vector<Event> seen(one.events.begin() + static_cast<std::ptrdiff_t>(announcement.after), one.events.end());
  if (filter_odd) std::erase_if(seen, [](const Event& event) { return event.offset % 2 == 1; });
  filtered.told = seen.size();
  for (std::size_t form = 0; form < forms; ++form)
    if (used_.at(form)) filtered.frames.at(form) = frame_events(*one.label, fake_epoch, seen, form_at(form));
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
  const std::string json = R"({"type":"status",)" + *one.label + R"(,"state":")" + state + "\"}";
  const StatusAnnouncement announcement{.channel = one.number, .frames = encode_all("status", {}, json, *one.label)};
  for (const ServeThread& thread : threads_) thread.announce_status(announcement);
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

bool Rig::gives_up_after(Seconds time) {
  for (int i = 0; i < 3; ++i, time = Seconds(11)) {
    clock.forward(time);
    if (eventually([this] { return core.attached() == 0; }, Millis(5000))) return true;
  }
  return false;
}

// Connections are dealt out in turn, and each thread takes its own in that order: two in a row are of both.
void Rig::settle() {
  for (int i = 0; i < 2; ++i)
    if (client().get("/livez").status != 200) throw std::runtime_error("a thread does not answer");
}

// Whoever is answered after a quarter of a second is answered by a thread whose timer went off meanwhile. The last one
// may go off in the same turn as the answer, so there is one more.
void Rig::tick() {
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(Millis(260));
    settle();
  }
}

void Rig::drain(Millis over, std::function<void()> done) {
  server->drain(over, std::move(done));
  // Connections are dealt out in turn: two in a row are of both threads.
  const auto refuses = [this] { return client().get("/readyz").status == 503; };
  if (!eventually([&] { return refuses() && refuses(); })) throw std::runtime_error("it does not drain");
}

Client Rig::open(int receive_buffer) {
  Client one = client(receive_buffer);
  one.open();
  return one;
}

}  // namespace restream::test
