#include "operator.hpp"

#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "model/channel_id.hpp"

namespace restream {

namespace {

using nlohmann::json;
using Reply = std::shared_ptr<ControlReply>;

struct Wanted {
  std::string fetcher;
  Params params;
};

// "nyt-top?section=world", as people write it: params need not be canonical.
std::expected<Wanted, std::string> parse_channel(const std::string& text) {
  if (text.empty()) return std::unexpected("which channel? Name it as in `restreamctl status`: nyt-top?section=home");
  const std::size_t mark = std::min(text.find('?'), text.size());
  auto query = parse_query(std::string_view(text).substr(std::min(mark + 1, text.size())));
  if (!query) return std::unexpected("the channel's params: " + query.error().message);
  return Wanted{.fetcher = text.substr(0, mark), .params = std::move(query->params)};
}

// The payloads of complete, unmasked text frames in a row.
template <typename Take>
void each_message(const std::string& frames, Take take) {
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(frames[at])); };
  std::size_t at = 0;
  while (at < frames.size()) {
    std::size_t size = byte(at + 1);
    const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
    at += 2;
    if (more > 0) size = 0;
    for (std::size_t i = 0; i < more; ++i) size = size << 8U | byte(at + i);
    at += more;
    take(frames.substr(at, size));
    at += size;
  }
}

}  // namespace

struct Operator::Impl : std::enable_shared_from_this<Operator::Impl> {
  explicit Impl(OperatorParts given) : parts(std::move(given)), feed(parts.hub.feed()), started(parts.clock.steady()) {}

  void status(const Reply& reply) {
    feed.get_readiness([weak = weak_from_this(), reply](const Readiness& ready) {
      const auto self = weak.lock();
      if (!self) return;
      self->feed.get_channels(Access{}, [weak, reply, ready](const Document& channels) {
        if (const auto still = weak.lock()) still->send_status(reply, ready, channels);
      });
    });
  }

  void send_status(const Reply& reply, const Readiness& ready, const Document& channels) {
    json out = {{"version", parts.version},
                {"pid", ::getpid()},
                {"uptime", std::chrono::duration_cast<Seconds>(parts.clock.steady() - started).count()},
                {"address", parts.address()},
                {"keys_command", parts.keys_command()},
                {"ready", ready.ready},
                {"reason", ready.reason}};
    out.update(json::parse(parts.fetchers.describe(std::nullopt).value_or("{}")));
    out.update(json::parse(channels.json));
    reply->send(json{{"ok", true}, {"status", std::move(out)}}.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void forget(const std::string& name, const Reply& reply) {
    if (auto forgotten = parts.hub.forget(name); !forgotten) return reply->refuse(forgotten.error());
    reply->done("forgotten: " + name + ", with its items and its log");
  }

  void poll(const std::string& name, const Reply& reply) {
    const auto wanted = parse_channel(name);
    if (!wanted) return reply->refuse(wanted.error());
    Fetcher* fetcher = parts.fetchers.find(wanted->fetcher);
    if (fetcher == nullptr) return reply->refuse("there is no fetcher '" + wanted->fetcher + "'");
    const auto id = fetcher->resolve(wanted->params);
    if (!id) return reply->refuse(id.error().message);
    const auto begun = fetcher->poll_soon(id->text);
    if (!begun) return reply->refuse(begun.error());
    reply->done(*begun);
  }

  void release(const std::string& name, const Reply& reply) {
    if (auto released = parts.fetchers.release(name); !released) return reply->refuse(released.error());
    reply->done("the plugin of " + name + " is being started again, with a clean record");
  }

  void reload(const Reply& reply) {
    const auto done = parts.reload();
    if (done) return reply->done(*done);
    reply->refuse(done.error());
  }

  void backup(const Reply& reply) {
    if (backing_up) return reply->refuse("a backup is being made already");
    backing_up = true;
    parts.backup([weak = weak_from_this(), reply](const std::expected<std::string, std::string>& done) {
      if (const auto self = weak.lock()) self->backing_up = false;
      if (done) return reply->done(*done);
      reply->refuse(done.error());
    });
  }

  // --- tail: a subscriber without a socket of its own --------------------------------------------------------------

  void tail(const std::string& name, const Reply& reply) {
    const auto wanted = parse_channel(name);
    if (!wanted) return reply->refuse(wanted.error());
    feed.attach(
        {.serve = number, .fetcher = wanted->fetcher, .params = wanted->params, .since = {}, .form = {}, .visitor = {}},
        [weak = weak_from_this(), reply](std::expected<Attached, FeedError> attached) {
          const auto self = weak.lock();
          if (!self) return;
          if (!attached) return reply->refuse(attached.error().message);
          self->follow(*attached, reply);
        });
  }

  void follow(const Attached& attached, const Reply& reply) {
    const ChannelNumber channel = attached.channel;
    tails.emplace(channel, reply);
    // Not the reply itself, which would keep itself alive by it.
    reply->on_gone([weak = weak_from_this(), channel, leaving = reply.get()] {
      if (const auto self = weak.lock()) self->leave(channel, leaving);
    });
    if (attached.status) send(reply, *attached.status);
  }

  void leave(ChannelNumber channel, const ControlReply* leaving) {
    const auto [first, last] = tails.equal_range(channel);
    for (auto at = first; at != last; ++at) {
      if (at->second.get() != leaving) continue;
      feed.detach(number, channel, Form{});
      tails.erase(at);
      return;
    }
  }

  static void send(const Reply& reply, const std::string& frames) {
    each_message(frames, [&](const std::string& message) { reply->send(message); });
  }

  void announce(ChannelNumber channel, const Frames& frames) {
    if (!frames) return;
    // A send may end its tail.
    std::vector<Reply> now;
    const auto [first, last] = tails.equal_range(channel);
    for (auto at = first; at != last; ++at) now.push_back(at->second);
    for (const Reply& reply : now) send(reply, *frames);
  }

  OperatorParts parts;
  Feed feed;
  SteadyTime started;
  ServeNumber number = 0;
  bool backing_up = false;
  std::multimap<ChannelNumber, Reply> tails;
};

Operator::Operator(OperatorParts parts) : impl_(std::make_shared<Impl>(std::move(parts))) {}
Operator::~Operator() = default;

ServeThread Operator::entrance(ServeNumber number) {
  impl_->number = number;
  ServeThread thread;
  thread.announce = [weak = std::weak_ptr(impl_)](const std::shared_ptr<const Announcement>& news) {
    if (const auto self = weak.lock()) self->announce(news->channel, news->frames.at(Form{}.index()));
  };
  thread.announce_status = [weak = std::weak_ptr(impl_)](const StatusAnnouncement& news) {
    if (const auto self = weak.lock())
      self->announce(news.channel, news.frames.at(static_cast<std::size_t>(Framing::websocket)));
  };
  return thread;
}

void Operator::handle(const ControlRequest& request, const std::shared_ptr<ControlReply>& reply) {
  if (request.verb == "status") return impl_->status(reply);
  if (request.verb == "poll") return impl_->poll(request.name, reply);
  if (request.verb == "forget") return impl_->forget(request.name, reply);
  if (request.verb == "release") return impl_->release(request.name, reply);
  if (request.verb == "reload") return impl_->reload(reply);
  if (request.verb == "backup") return impl_->backup(reply);
  if (request.verb == "tail") return impl_->tail(request.name, reply);
  reply->refuse("unknown verb '" + request.verb + "'");
}

}  // namespace restream
