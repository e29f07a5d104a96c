#include "channel/hub.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "channel/documents.hpp"
#include "diff/diff.hpp"

namespace restream {

namespace {

constexpr Seconds first_poll_wait{10};  // GET of a channel that was never polled
constexpr std::chrono::hours forget_every{1};

using SnapshotReply = std::function<void(std::expected<SnapshotChunk, HistoryProblem>)>;

// Subscribers of one serve thread, by the form they take.
using FormCounts = std::array<std::size_t, deliver_forms>;

struct Channel {
  ChannelNumber number = 0;
  ChannelId id;
  std::shared_ptr<const std::string> label;
  ChannelRecord record;
  Status status;
  std::map<ServeNumber, FormCounts> attached;
  std::size_t subscribers = 0;
  std::size_t other_demand = 0;  // pinned, or an HTTP request that waits
  bool polling = false;          // the fetcher was told to want it and has not said idle
  std::map<std::string, std::size_t> addresses;
  std::vector<std::function<void()>> after_first_poll;

  std::weak_ptr<const std::string> snapshot;  // of the last read, while somebody still sends it
  std::uint64_t snapshot_offset = 0;
  std::uint64_t commits = 0;  // how often the snapshot may have changed
  std::vector<SnapshotReply> snapshot_readers;

  [[nodiscard]] std::size_t demand() const { return subscribers + other_demand; }
  [[nodiscard]] bool ever_polled() const { return record.schedule.last_poll.has_value(); }
};

FeedError no_such_channel() { return {"unavailable", "the channel has gone; subscribe again"}; }

}  // namespace

struct Hub::Impl : std::enable_shared_from_this<Hub::Impl> {
  Impl(Surroundings given, HubLimits lim, HubHooks h) : around(std::move(given)), limits(lim), hooks(std::move(h)) {}

  // --- finding channels -----------------------------------------------------------------------------------------

  // Calls `next` with the channel's id once the fetcher is known well enough to say.
  void resolve(const std::string& fetcher, const Params& params,
               std::function<void(std::expected<ChannelId, FeedError>)> next) {
    if (auto resolved = hooks.resolve(fetcher, params)) return next(std::move(*resolved));
    waiting.push_back(
        [this, fetcher, params, next = std::move(next)]() mutable { resolve(fetcher, params, std::move(next)); });
  }

  Channel* find(ChannelNumber number) {
    const auto found = numbers.find(number);
    return found == numbers.end() ? nullptr : found->second;
  }
  Channel* find(const std::string& id) {
    const auto found = channels.find(id);
    return found == channels.end() ? nullptr : &found->second;
  }

  std::expected<Channel*, FeedError> find_or_make(const ChannelId& id) {
    if (Channel* known = find(id.text)) return known;
    if (channels.size() >= limits.channels)
      return std::unexpected(
          FeedError{"too_many_channels", "the limit of " + std::to_string(limits.channels) +
                                             " active channels (limits.channels) is reached; try again later"});
    Channel& channel = channels[id.text];
    channel.number = next_number++;
    channel.id = id;
    channel.label = std::make_shared<const std::string>(channel_label(id));
    channel.status.at = around.clock.wall();
    if (auto known = records.extract(id.text)) {
      channel.record = std::move(known.mapped());
    } else {
      channel.record.channel = id.text;
      channel.record.head.epoch = around.draw_epoch();
    }
    numbers.emplace(channel.number, &channel);
    return &channel;
  }

  // Demand has grown or shrunk: tells the fetcher of the first and the last.
  void demand_changed(Channel& channel, std::size_t before) {
    const std::size_t now = channel.demand();
    if (before == 0 && now > 0) {
      channel.polling = true;
      hooks.want(channel.id, channel.record.schedule);
    } else if (before > 0 && now == 0) {
      hooks.unwant(channel.id);
    }
  }

  void drop_if_idle(const std::string& id) {
    const auto found = channels.find(id);
    if (found == channels.end() || found->second.polling || found->second.demand() > 0) return;
    Channel& channel = found->second;
    for (SnapshotReply& reply : channel.snapshot_readers)
      reply(std::unexpected(HistoryProblem{true, "the channel has gone"}));
    if (channel.ever_polled()) records.insert_or_assign(id, std::move(channel.record));
    numbers.erase(channel.number);
    channels.erase(found);
  }

  // --- attach, detach -----------------------------------------------------------------------------------------------

  void attach(AttachRequest request, std::function<void(std::expected<Attached, FeedError>)> reply) {
    const std::string fetcher = request.fetcher;
    const Params params = request.params;
    resolve(fetcher, params,
            [this, request = std::move(request), reply = std::move(reply)](std::expected<ChannelId, FeedError> id) {
              if (!id) return reply(std::unexpected(std::move(id.error())));
              reply(attach_to(*id, request));
            });
  }

  std::expected<Attached, FeedError> attach_to(const ChannelId& id, const AttachRequest& request) {
    if (auto fine = check_address(id.text, request.address); !fine) return std::unexpected(std::move(fine.error()));
    auto made = find_or_make(id);
    if (!made) return std::unexpected(std::move(made.error()));
    Channel& channel = **made;
    const std::size_t before = channel.demand();
    count_address(channel, request.address);
    ++channel.subscribers;
    // The fetcher may set the status from within want(); the reply carries it, so nobody is attached yet who could hear
    // of it twice.
    demand_changed(channel, before);
    ++channel.attached[request.serve][static_cast<std::size_t>(request.deliver)];

    Attached attached{.channel = channel.number,
                      .label = channel.label,
                      .head = channel.record.head,
                      .resumed = false,
                      .cursor = 0,
                      .status = nullptr};
    if (const auto since = parse_position(request.since)) {
      const ChannelRecord& record = channel.record;
      attached.resumed =
          since->epoch == record.head.epoch && since->offset + 1 >= record.first && since->offset <= record.head.offset;
      if (attached.resumed) attached.cursor = since->offset;
    }
    if (channel.status.state != State::live) attached.status = frame(status_json(*channel.label, channel.status));
    return attached;
  }

  void detach(ServeNumber serve, ChannelNumber number, Deliver deliver, const std::string& address) {
    Channel* channel = find(number);
    if (channel == nullptr) return;
    const auto counts = channel->attached.find(serve);
    if (counts == channel->attached.end()) return;
    std::size_t& count = counts->second.at(static_cast<std::size_t>(deliver));
    if (count == 0) return;
    --count;
    if (std::ranges::all_of(counts->second, [](std::size_t left) { return left == 0; }))
      channel->attached.erase(counts);
    uncount_address(*channel, address);
    const std::size_t before = channel->demand();
    --channel->subscribers;
    demand_changed(*channel, before);
  }

  std::expected<void, FeedError> check_address(const std::string& id, const std::string& address) {
    const auto found = addresses.find(address);
    if (found == addresses.end() || found->second < limits.channels_per_address) return {};
    const Channel* channel = find(id);
    if (channel != nullptr && channel->addresses.contains(address)) return {};
    return std::unexpected(FeedError{"too_many_channels", "your address has the limit of " +
                                                              std::to_string(limits.channels_per_address) +
                                                              " channels (limits.channels_per_address)"});
  }
  void count_address(Channel& channel, const std::string& address) {
    if (++channel.addresses[address] == 1) ++addresses[address];
  }
  void uncount_address(Channel& channel, const std::string& address) {
    const auto found = channel.addresses.find(address);
    if (found == channel.addresses.end() || --found->second > 0) return;
    channel.addresses.erase(found);
    if (--addresses[address] == 0) addresses.erase(address);
  }

  // --- commit and publish -------------------------------------------------------------------------------------------

  void commit(const ChannelId& id, std::shared_ptr<const CommitRules> rules, std::string result,
              const Schedule& schedule, std::function<void(const PollOutcome&)> done) {
    Channel* channel = find(id.text);
    if (channel == nullptr) return;  // cannot be: it is polling
    PollInput input{.channel = id.text,
                    .epoch = channel->record.head.epoch,
                    .rules = std::move(rules),
                    .result = std::move(result),
                    .now = around.clock.wall(),
                    .schedule = schedule};
    around.store.commit(std::move(input), [self = shared_from_this(), name = id.text, schedule,
                                           done = std::move(done)](PollOutcome outcome) mutable {
      auto& loop = self->around.loop;
      loop.post([self, name = std::move(name), schedule, done = std::move(done), outcome = std::move(outcome)] {
        self->store_works = outcome.kind != PollOutcome::Kind::store_failed;
        self->store_problem = self->store_works ? "" : outcome.problem;
        Channel* committed = self->find(name);
        if (committed != nullptr && outcome.kind == PollOutcome::Kind::committed)
          self->publish(*committed, schedule, outcome);
        done(outcome);
        if (committed != nullptr) self->first_poll_done(*committed);
      });
    });
  }

  void publish(Channel& channel, const Schedule& schedule, const PollOutcome& outcome) {
    channel.record.schedule = schedule;
    channel.record.head = outcome.head;
    channel.record.first = outcome.first;
    channel.record.items = outcome.items;
    ++channel.commits;
    channel.snapshot.reset();
    if (!outcome.events || outcome.events->events.empty()) return;
    const auto announcement = std::make_shared<Announcement>();
    announcement->channel = channel.number;
    announcement->after = outcome.events->after;
    announcement->last = outcome.events->last();
    for (const auto& [serve, counts] : channel.attached)
      for (std::size_t form = 0; form < deliver_forms; ++form)
        if (counts.at(form) > 0 && !announcement->frames.at(form))
          announcement->frames.at(form) =
              frame_events(*channel.label, outcome.head.epoch, outcome.events->events, static_cast<Deliver>(form));
    for (const auto& [serve, counts] : channel.attached) threads.at(serve).announce(announcement);
  }

  void set_status(const ChannelId& id, const Status& status, bool transition) {
    Channel* channel = find(id.text);
    if (channel == nullptr) return;
    channel->status = status;
    if (transition && !channel->attached.empty()) {
      const Frames bytes = frame(status_json(*channel->label, status));
      for (const auto& [serve, counts] : channel->attached) threads.at(serve).announce_status({channel->number, bytes});
    }
    if (status.state != State::pending && status.state != State::live) first_poll_done(*channel);
  }

  void first_poll_done(Channel& channel) {
    for (auto& work : std::exchange(channel.after_first_poll, {})) around.loop.post(std::move(work));
  }

  void keep(const ChannelId& id, const Schedule& schedule) {
    Channel* channel = find(id.text);
    if (channel == nullptr) return;
    channel->record.schedule = schedule;
    if (schedule.last_poll)
      around.store.write(ScheduleWrite{.channel = id.text, .epoch = channel->record.head.epoch, .schedule = schedule});
  }

  // --- reading ------------------------------------------------------------------------------------------------------

  void read_events(ChannelNumber number, std::uint64_t after, Deliver deliver, std::size_t max_bytes,
                   std::function<void(std::expected<HistoryChunk, HistoryProblem>)> reply) {
    const Channel* channel = find(number);
    if (channel == nullptr) return reply(std::unexpected(HistoryProblem{true, no_such_channel().message}));
    if (after >= channel->record.head.offset) return reply(HistoryChunk{nullptr, after});
    const Position from{channel->record.head.epoch, after};
    const auto shared = std::make_shared<decltype(reply)>(std::move(reply));
    around.store.read(
        [name = channel->id.text, label = channel->label, from, deliver, max_bytes, shared](Store& store) {
          const auto events = store.events(name, from, max_bytes);
          if (!events) return (*shared)(std::unexpected(HistoryProblem{true, "the events have left the log"}));
          if (events->empty()) return (*shared)(HistoryChunk{nullptr, from.offset});
          (*shared)(HistoryChunk{frame_events(*label, from.epoch, *events, deliver), events->back().offset});
        },
        [shared](std::string problem) { (*shared)(std::unexpected(HistoryProblem{false, std::move(problem)})); });
  }

  void read_snapshot(ChannelNumber number, SnapshotReply reply) {
    Channel* channel = find(number);
    if (channel == nullptr) return reply(std::unexpected(HistoryProblem{true, no_such_channel().message}));
    if (const Frames bytes = channel->snapshot.lock()) return reply(SnapshotChunk{bytes, channel->snapshot_offset});
    channel->snapshot_readers.push_back(std::move(reply));
    if (channel->snapshot_readers.size() > 1) return;  // one read answers all
    using Result = std::expected<SnapshotChunk, HistoryProblem>;
    auto deliver = [self = shared_from_this(), number, commits = channel->commits](Result result) {
      self->around.loop.post([self, number, commits, result = std::move(result)] {
        Channel* found = self->find(number);
        if (found == nullptr) return;
        if (result && commits == found->commits) {
          found->snapshot = result->frames;
          found->snapshot_offset = result->offset;
        }
        for (SnapshotReply& one : std::exchange(found->snapshot_readers, {})) one(result);
      });
    };
    around.store.read(
        [name = channel->id.text, label = channel->label, empty_at = Position{channel->record.head.epoch, 0},
         deliver](Store& store) {
          const Snapshot snapshot = store.snapshot(name).value_or(Snapshot{empty_at, {}});
          deliver(
              SnapshotChunk{frame(snapshot_json(*label, snapshot.position, snapshot.items)), snapshot.position.offset});
        },
        [deliver](std::string problem) { deliver(std::unexpected(HistoryProblem{false, std::move(problem)})); });
  }

  // --- documents ----------------------------------------------------------------------------------------------------

  void get_channel(const std::string& fetcher, const Params& params, const std::string& address,
                   std::function<void(Document)> reply) {
    resolve(fetcher, params, [this, address, reply = std::move(reply)](std::expected<ChannelId, FeedError> id) mutable {
      if (!id) return reply(error_document(id.error()));
      if (auto fine = check_address(id->text, address); !fine) return reply(error_document(fine.error()));
      auto made = find_or_make(*id);
      if (!made) return reply(error_document(made.error()));
      Channel& channel = **made;
      const std::size_t before = channel.demand();
      ++channel.other_demand;
      demand_changed(channel, before);
      // Whichever comes first, the poll or the end of the wait, answers; the other finds nothing left to do.
      const auto once = std::make_shared<std::function<void(Document)>>(std::move(reply));
      auto answer = [this, name = id->text, once] {
        if (!*once) return;
        if (Channel* found = find(name)) {
          send_document(*found, std::exchange(*once, nullptr));
          const std::size_t demand = found->demand();
          --found->other_demand;
          demand_changed(*found, demand);
        }
      };
      const bool settled =
          channel.ever_polled() || (channel.status.state != State::pending && channel.status.state != State::live);
      if (settled) return answer();
      channel.after_first_poll.emplace_back(answer);
      around.loop.at(around.clock.steady() + first_poll_wait, [self = shared_from_this(), answer] { answer(); });
    });
  }

  void send_document(const Channel& channel, std::function<void(Document)> reply) {
    const auto shared = std::make_shared<std::function<void(Document)>>(std::move(reply));
    around.store.read(
        [name = channel.id.text, label = channel.label, empty_at = Position{channel.record.head.epoch, 0},
         status = channel.status, shared](Store& store) {
          const Snapshot snapshot = store.snapshot(name).value_or(Snapshot{empty_at, {}});
          (*shared)(snapshot_document(*label, snapshot, status));
        },
        [shared](const std::string& problem) {
          (*shared)(error_document({"unavailable", "the store cannot be read: " + problem}));
        });
  }

  Document list_channels() const {
    std::vector<ChannelEntry> entries;
    entries.reserve(channels.size());
    for (const auto& [id, channel] : channels)
      entries.push_back({&channel.id, channel.label.get(), &channel.status, &channel.record, channel.subscribers});
    std::ranges::sort(entries, {}, [](const ChannelEntry& entry) { return entry.id->text; });
    return channels_document(entries);
  }

  // --- housekeeping -------------------------------------------------------------------------------------------------

  // Channels that nobody asked for in a long time go, with all they had.
  void forget_old() {
    const WallTime limit = around.clock.wall() - limits.forget;
    std::erase_if(records, [&](const auto& one) {
      if (one.second.schedule.last_demand >= limit) return false;
      around.log.info("channel forgotten: nobody asked for it", {{"channel", one.first}});
      around.store.write(ForgetWrite{one.first});
      return true;
    });
    around.loop.at(around.clock.steady() + forget_every, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->forget_old();
    });
  }

  Surroundings around;
  HubLimits limits;
  HubHooks hooks;
  std::vector<ServeThread> threads;
  std::unordered_map<std::string, Channel> channels;  // nodes stay where they are, so `numbers` may point at them
  std::unordered_map<ChannelNumber, Channel*> numbers;
  std::unordered_map<std::string, ChannelRecord> records;  // of channels that are not in memory
  std::unordered_map<std::string, std::size_t> addresses;  // channels of each
  std::unordered_set<std::string> pinned;
  std::vector<std::function<void()>> waiting;  // for a fetcher to settle
  ChannelNumber next_number = 1;
  bool store_works = true;
  std::string store_problem;
};

Hub::Hub(Surroundings surroundings, HubLimits limits, std::vector<ChannelRecord> records, HubHooks hooks)
    : impl_(std::make_shared<Impl>(std::move(surroundings), limits, std::move(hooks))) {
  for (ChannelRecord& record : records) {
    std::string name = record.channel;
    impl_->records.emplace(std::move(name), std::move(record));
  }
  impl_->forget_old();
}
Hub::~Hub() = default;

void Hub::serve_on(std::vector<ServeThread> threads) { impl_->threads = std::move(threads); }

Feed Hub::feed() {
  // Every function posts; the hub's own state is touched on core only.
  const auto on_core = [weak = std::weak_ptr(impl_), loop = impl_->around.loop](auto work) {
    loop.post([weak, work = std::move(work)]() mutable {
      if (const auto self = weak.lock()) work(*self);
    });
  };
  Feed feed;
  feed.attach = [on_core](AttachRequest request, auto reply) {
    on_core([request = std::move(request), reply = std::move(reply)](Impl& hub) mutable {
      hub.attach(std::move(request), std::move(reply));
    });
  };
  feed.detach = [on_core](ServeNumber serve, ChannelNumber channel, Deliver deliver, std::string address) {
    on_core([serve, channel, deliver, address = std::move(address)](Impl& hub) {
      hub.detach(serve, channel, deliver, address);
    });
  };
  feed.resolve = [on_core](std::string fetcher, Params params, auto reply) {
    on_core([fetcher = std::move(fetcher), params = std::move(params), reply = std::move(reply)](Impl& hub) mutable {
      hub.resolve(fetcher, params, [&hub, reply = std::move(reply)](std::expected<ChannelId, FeedError> id) {
        if (!id) return reply(std::unexpected(std::move(id.error())));
        const Channel* channel = hub.find(id->text);
        reply(Feed::Resolved{channel == nullptr ? std::nullopt : std::optional(channel->number), channel_label(*id)});
      });
    });
  };
  feed.read_events = [on_core](ChannelNumber channel, std::uint64_t after, Deliver deliver, std::size_t max_bytes,
                               auto reply) {
    on_core([=, reply = std::move(reply)](Impl& hub) mutable {
      hub.read_events(channel, after, deliver, max_bytes, std::move(reply));
    });
  };
  feed.read_snapshot = [on_core](ChannelNumber channel, auto reply) {
    on_core([channel, reply = std::move(reply)](Impl& hub) mutable { hub.read_snapshot(channel, std::move(reply)); });
  };
  feed.get_channel = [on_core](std::string fetcher, Params params, std::string address, auto reply) {
    on_core(
        [fetcher = std::move(fetcher), params = std::move(params), address = std::move(address),
         reply = std::move(reply)](Impl& hub) mutable { hub.get_channel(fetcher, params, address, std::move(reply)); });
  };
  feed.get_channels = [on_core](auto reply) {
    on_core([reply = std::move(reply)](Impl& hub) { reply(hub.list_channels()); });
  };
  feed.get_fetchers = [on_core](std::optional<std::string> fetcher, auto reply) {
    on_core([fetcher = std::move(fetcher), reply = std::move(reply)](Impl& hub) {
      reply(hub.hooks.describe_fetchers(fetcher));
    });
  };
  feed.get_readiness = [on_core](auto reply) {
    on_core([reply = std::move(reply)](Impl& hub) {
      if (!hub.store_works) return reply(Readiness{false, "the store cannot be written: " + hub.store_problem});
      reply(hub.hooks.readiness());
    });
  };
  return feed;
}

void Hub::commit(const ChannelId& channel, std::shared_ptr<const CommitRules> rules, std::string result,
                 const Schedule& schedule, std::function<void(const PollOutcome&)> done) {
  impl_->commit(channel, std::move(rules), std::move(result), schedule, std::move(done));
}
void Hub::set_status(const ChannelId& channel, const Status& status, bool transition) {
  impl_->set_status(channel, status, transition);
}
void Hub::keep(const ChannelId& channel, const Schedule& schedule) { impl_->keep(channel, schedule); }
void Hub::idle(const ChannelId& channel) {
  if (Channel* found = impl_->find(channel.text)) found->polling = false;
  impl_->drop_if_idle(channel.text);
}
void Hub::fetcher_settled() {
  for (auto& work : std::exchange(impl_->waiting, {})) work();
}
void Hub::pin(const ChannelId& channel) {
  if (!impl_->pinned.insert(channel.text).second) return;
  auto made = impl_->find_or_make(channel);
  if (!made)
    return impl_->around.log.error("cannot pin a channel",
                                   {{"channel", channel.text}, {"reason", made.error().message}});
  const std::size_t before = (*made)->demand();
  ++(*made)->other_demand;
  impl_->demand_changed(**made, before);
}

}  // namespace restream
