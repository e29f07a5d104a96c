#include "channel/hub.hpp"

#include <algorithm>
#include <utility>

#include "channel/hub_impl.hpp"

namespace restream {

void Hub::Impl::resolve(const std::string& fetcher, const Params& params,
                        std::function<void(std::expected<ChannelId, FeedError>)> next) {
  if (auto resolved = hooks.resolve(fetcher, params)) return next(std::move(*resolved));
  waiting.emplace_back(
      [this, fetcher, params, next = std::move(next)]() mutable { resolve(fetcher, params, std::move(next)); });
}

Channel* Hub::Impl::find(ChannelNumber number) {
  const auto found = numbers.find(number);
  return found == numbers.end() ? nullptr : found->second;
}

Channel* Hub::Impl::find(const std::string& id) {
  const auto found = channels.find(id);
  return found == channels.end() ? nullptr : &found->second;
}

std::expected<Channel*, FeedError> Hub::Impl::find_or_make(const ChannelId& id, const std::string& address) {
  if (Channel* known = find(id.text)) return known;
  if (const auto brought = addresses.find(address);
      brought != addresses.end() && brought->second >= limits.channels_per_address)
    return std::unexpected(FeedError{"too_many_channels", "your address has brought to life the limit of " +
                                                              std::to_string(limits.channels_per_address) +
                                                              " channels (limits.channels_per_address)"});
  if (channels.size() >= limits.channels)
    return std::unexpected(
        FeedError{"too_many_channels", "the limit of " + std::to_string(limits.channels) +
                                           " active channels (limits.channels) is reached; try again later"});
  Channel& channel = channels[id.text];
  channel.number = next_number++;
  channel.id = id;
  channel.label = std::make_shared<const std::string>(channel_label(id));
  channel.status.at = around.clock.wall();
  channel.brought_by = address;
  if (!address.empty()) ++addresses[address];
  if (auto known = records.extract(id.text)) {
    channel.record = std::move(known.mapped());
  } else {
    channel.record.channel = id.text;
    channel.record.head.epoch = around.draw_epoch();
  }
  numbers.emplace(channel.number, &channel);
  return &channel;
}

void Hub::Impl::demand_changed(Channel& channel, std::size_t before, bool waits) {
  const std::size_t now = channel.demand();
  if (before == 0 && now > 0) {
    channel.polling = true;
    hooks.want(channel.id, channel.record.schedule, waits);
  } else if (before > 0 && now == 0) {
    hooks.unwant(channel.id);
  }
  if (hooks.demand && now > 0 && now != before) hooks.demand(channel.id, now);
}

void Hub::Impl::drop_if_idle(const std::string& id) {
  const auto found = channels.find(id);
  if (found == channels.end() || found->second.polling || found->second.demand() > 0) return;
  Channel& channel = found->second;
  for (auto& [_, read] : channel.snapshots)
    for (SnapshotReply& reply : read.readers) reply(std::unexpected(HistoryProblem{true, "the channel has gone"}));
  if (channel.worth_keeping()) records.insert_or_assign(id, std::move(channel.record));
  bound_records();
  numbers.erase(channel.number);
  if (const auto brought = addresses.find(channel.brought_by); brought != addresses.end() && --brought->second == 0)
    addresses.erase(brought);
  around.store.let_go(id);
  channels.erase(found);
}

void Hub::Impl::attach(AttachRequest request, std::function<void(std::expected<Attached, FeedError>)> reply) {
  const std::string fetcher = request.fetcher;
  const Params params = request.params;
  if (!may_see_fetcher(request.visitor.access, fetcher)) return reply(std::unexpected(not_for_this_token(fetcher)));
  resolve(fetcher, params,
          [this, request = std::move(request), reply = std::move(reply)](std::expected<ChannelId, FeedError> id) {
            if (!id) return reply(std::unexpected(std::move(id.error())));
            reply(attach_to(*id, request));
          });
}

std::expected<Attached, FeedError> Hub::Impl::attach_to(const ChannelId& id, const AttachRequest& request) {
  if (!may_see(request.visitor.access, id.text)) return std::unexpected(not_for_this_token(id.text));
  auto made = find_or_make(id, request.visitor.address);
  if (!made) return std::unexpected(std::move(made.error()));
  Channel& channel = **made;
  Form form = request.form;
  if (request.filter) {
    auto number = share_filter(channel, *request.filter, request.visitor.address);
    if (!number) return std::unexpected(std::move(number.error()));
    form.filter = *number;
    ++channel.filters.at(form.filter).subscribers.at(form.index());
  }
  const std::size_t before = channel.demand();
  ++channel.subscribers;
  // The fetcher may set the status from within want(); the reply carries it, so nobody is attached yet who could hear
  // of it twice.
  demand_changed(channel, before);
  ++channel.attached[request.serve][form.index()];

  Attached attached{.channel = channel.number,
                    .form = form,
                    .label = channel.label,
                    .head = channel.record.head,
                    .resumed = false,
                    .cursor = 0,
                    .status = nullptr};
  if (const auto since = parse_position(request.since)) {
    const ChannelRecord& record = channel.record;
    const std::uint64_t first = request.filter ? std::max(record.first, record.undoable) : record.first;
    attached.resumed = since->epoch == record.head.epoch && since->offset + 1 >= first &&
                       since->offset <= std::max(record.head.offset, channel.committed);
    if (attached.resumed) attached.cursor = since->offset;
  }
  if (channel.status.state != State::live)
    attached.status =
        encode(request.form.framing, "status", {}, status_json(*channel.label, channel.status), *channel.label);
  return attached;
}

void Hub::Impl::detach(ServeNumber serve, ChannelNumber number, Form form) {
  Channel* channel = find(number);
  if (channel == nullptr) return;
  const auto counts = channel->attached.find(serve);
  if (counts == channel->attached.end()) return;
  std::size_t& count = counts->second.at(form.index());
  if (count == 0) return;
  --count;
  if (const auto filter = channel->filters.find(form.filter); filter != channel->filters.end()) {
    --filter->second.subscribers.at(form.index());
    if (!filter->second.in_use()) {
      std::erase_if(channel->snapshots, [&form](const auto& read) {
        return read.first.first == form.filter && read.second.readers.empty();
      });
      channel->filters.erase(filter);
    }
  }
  if (std::ranges::all_of(counts->second, [](std::size_t left) { return left == 0; })) channel->attached.erase(counts);
  const std::size_t before = channel->demand();
  --channel->subscribers;
  demand_changed(*channel, before);
}

FeedError not_for_this_token(const std::string& channel) {
  return {"unauthorized", "the token does not allow the channel '" + channel.substr(0, 200) + "'; ask the operator"};
}

struct Hub::Impl::Commit {
  std::string channel;
  Fingerprint result;
  std::shared_ptr<const CommitRules> rules;
  WallTime now;
  Schedule schedule;
  std::function<void(const PollOutcome&)> done;
  std::string poll;
};

void Hub::Impl::commit(const ChannelId& id, std::shared_ptr<const CommitRules> rules, std::string result,
                       const Schedule& schedule, std::function<void(const PollOutcome&)> done, std::string poll) {
  Channel* channel = find(id.text);
  if (channel == nullptr) return;  // cannot be: it is polling
  auto one = std::make_unique<Commit>(Commit{.channel = id.text,
                                             .result = fingerprint_bytes(result),
                                             .rules = rules,
                                             .now = around.clock.wall(),
                                             .schedule = schedule,
                                             .done = std::move(done),
                                             .poll = std::move(poll)});
  // Most polls find nothing new. Those stay on this thread, which spares them two changes of thread.
  const auto& before = channel->repeatable;
  if (before && around.store.problem().empty() && before->result == one->result && before->rules == one->rules &&
      one->now >= before->from && one->now < before->until) {
    PollOutcome outcome{.head = channel->record.head,
                        .first = channel->record.first,
                        .items = channel->record.items,
                        .skipped = before->skipped,
                        .repeated = before->repeated,
                        .deferred = true,
                        .repeats_until = before->until};
    around.store.write(ScheduleWrite{.channel = id.text, .epoch = outcome.head.epoch, .schedule = schedule});
    around.loop.post([self = shared_from_this(), one = std::move(one), outcome = std::move(outcome)]() mutable {
      self->committed(std::move(one), std::move(outcome));
    });
    return;
  }
  PollInput input{.channel = id.text,
                  .epoch = channel->record.head.epoch,
                  .rules = std::move(rules),
                  .result = std::move(result),
                  .now = one->now,
                  .schedule = schedule};
  around.store.commit(std::move(input), [self = shared_from_this(), one = std::move(one)](PollOutcome outcome) mutable {
    auto& loop = self->around.loop;
    loop.post([self, one = std::move(one), outcome = std::move(outcome)]() mutable {
      self->committed(std::move(one), std::move(outcome));
    });
  });
}

namespace {

Audience audience_of(const Channel& channel, std::uint64_t epoch) {
  FormCounts plain{};
  for (const auto& [serve, counts] : channel.attached)
    for (std::size_t form = 0; form < forms; ++form) plain.at(form) += counts.at(form);
  Audience audience{.channel = channel.number, .label = channel.label, .epoch = epoch, .plain = {}, .filtered = {}};
  for (const auto& [number, filter] : channel.filters) {
    Audience::Filtered& one = audience.filtered.emplace_back();
    one.number = number;
    one.projection = filter.projection;
    for (std::size_t form = 0; form < forms; ++form) {
      one.used.set(form, filter.subscribers.at(form) > 0);
      plain.at(form) -= filter.subscribers.at(form);
    }
  }
  for (std::size_t form = 0; form < forms; ++form) audience.plain.set(form, plain.at(form) > 0);
  return audience;
}

}  // namespace

void Hub::Impl::committed(std::unique_ptr<Commit> one, PollOutcome outcome) {
  Channel* channel = find(one->channel);
  if (channel == nullptr || !outcome.events || outcome.events->events.empty()) return publish(*one, outcome, {});
  Audience audience = audience_of(*channel, outcome.head.epoch);
  if (!frames || work_of(*outcome.events, audience) <= limits.encoded_on_core)
    return publish(*one, outcome, announcement_of(*outcome.events, audience));
  // Who has read these events in the log already may resume behind them.
  channel->committed = outcome.head.offset;
  frames->post([weak = weak_from_this(), loop = around.loop, audience = std::move(audience), one = std::move(one),
                outcome = std::move(outcome)](const std::stop_token& stop) mutable {
    auto made = announcement_of(*outcome.events, audience, stop);
    if (stop.stop_requested()) return;
    loop.post([weak, made = std::move(made), one = std::move(one), outcome = std::move(outcome)]() mutable {
      if (const auto self = weak.lock()) self->publish(*one, outcome, std::move(made));
    });
  });
}

void Hub::Impl::publish(Commit& one, const PollOutcome& outcome, std::optional<Announcement> made) {
  Channel* channel = find(one.channel);
  if (channel != nullptr && outcome.kind == PollOutcome::Kind::committed) take_over(*channel, one, outcome);
  if (channel != nullptr && made) {
    const auto announcement = std::make_shared<const Announcement>(std::move(*made));
    for (const auto& [serve, counts] : channel->attached) threads.at(serve).announce(announcement);
    if (around.log.writes(LogLevel::debug))
      around.log.debug("pushed", {{"poll", one.poll},
                                  {"channel", one.channel},
                                  {"events", std::to_string(announcement->last - announcement->after)},
                                  {"subscribers", std::to_string(channel->subscribers)}});
  }
  one.done(outcome);
  // Found anew: when nobody wants the channel any more, the end of this poll was its end too.
  if (Channel* still_there = find(one.channel)) first_poll_done(*still_there);
}

void Hub::Impl::take_over(Channel& channel, Commit& one, const PollOutcome& outcome) {
  channel.repeatable.reset();
  if (outcome.repeats_until)
    channel.repeatable = Repeatable{.result = one.result,
                                    .rules = std::move(one.rules),
                                    .from = one.now,
                                    .until = *outcome.repeats_until,
                                    .skipped = outcome.skipped,
                                    .repeated = outcome.repeated};
  channel.record.schedule = one.schedule;
  channel.record.head = outcome.head;
  channel.record.first = outcome.first;
  channel.record.items = outcome.items;
  ++channel.commits;
  std::erase_if(channel.snapshots, [](const auto& read) { return read.second.readers.empty(); });
  const std::size_t events = outcome.events ? outcome.events->events.size() : 0;
  if (around.log.writes(LogLevel::debug))
    around.log.debug(events == 0 ? "unchanged" : "committed", {{"poll", one.poll},
                                                               {"channel", channel.id.text},
                                                               {"events", std::to_string(events)},
                                                               {"position", to_text(outcome.head)}});
  if (events == 0) return;
  std::array<std::uint64_t, 3>& told = events_told[channel.id.fetcher];
  for (const Event& event : outcome.events->events) ++told.at(static_cast<std::size_t>(event.change.kind) - 1);
}

void Hub::Impl::set_status(const ChannelId& id, const Status& status, bool transition) {
  Channel* channel = find(id.text);
  if (channel == nullptr) return;
  channel->status = status;
  if (transition && !channel->attached.empty()) {
    const std::string json = status_json(*channel->label, status);
    const StatusAnnouncement announcement{channel->number, encode_all("status", {}, json, *channel->label)};
    for (const auto& [serve, counts] : channel->attached) threads.at(serve).announce_status(announcement);
  }
  if (status.state != State::pending && status.state != State::live) first_poll_done(*channel);
}

void Hub::Impl::first_poll_done(Channel& channel) {
  for (auto& work : std::exchange(channel.after_first_poll, {})) around.loop.post(std::move(work));
}

Hub::Hub(Surroundings surroundings, HubLimits limits, std::vector<ChannelRecord> records, HubHooks hooks)
    : impl_(std::make_shared<Impl>(std::move(surroundings), limits, std::move(hooks))) {
  for (ChannelRecord& record : records) {
    std::string name = record.channel;
    impl_->records.emplace(std::move(name), std::move(record));
  }
  impl_->forget_old();
}
// Its thread first: jobs post to a loop that may be gone before the last that holds on to the Impl.
Hub::~Hub() { impl_->frames.reset(); }

void Hub::serve_on(std::vector<ServeThread> threads) { impl_->threads = std::move(threads); }

void Hub::commit(const ChannelId& channel, std::shared_ptr<const CommitRules> rules, std::string result,
                 const Schedule& schedule, std::function<void(const PollOutcome&)> done, std::string poll) {
  impl_->commit(channel, std::move(rules), std::move(result), schedule, std::move(done), std::move(poll));
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
Hub::Counts Hub::counts() const {
  Counts counts{.channels = {}, .events = impl_->events_told, .store_works = impl_->around.store.problem().empty()};
  for (const auto& [_, channel] : impl_->channels) ++counts.channels[channel.status.state];
  return counts;
}
std::vector<ChannelEntry> Hub::channels() const { return impl_->list(); }
std::expected<void, std::string> Hub::forget(const std::string& channel) {
  if (const Channel* alive = impl_->find(channel))
    return std::unexpected(channel + " has " + std::to_string(alive->subscribers) +
                           " subscribers, is pinned, or had one within the last minute; try again later");
  if (impl_->records.erase(channel) == 0)
    return std::unexpected("nothing is kept of '" + channel + "'; name it with all its params, as its log does");
  impl_->around.log.info("channel forgotten, as it was asked for", {{"channel", channel}});
  impl_->around.store.write(ForgetWrite{channel});
  return {};
}
void Hub::pin(const ChannelId& channel) {
  if (!impl_->pinned.insert(channel.text).second) return;
  auto made = impl_->find_or_make(channel, {});
  if (!made) {
    impl_->pinned.erase(channel.text);
    return impl_->around.log.error("cannot pin a channel",
                                   {{"channel", channel.text}, {"reason", made.error().message}});
  }
  const std::size_t before = (*made)->demand();
  ++(*made)->other_demand;
  impl_->demand_changed(**made, before, false);
}
void Hub::unpin(const ChannelId& channel) {
  if (impl_->pinned.erase(channel.text) == 0) return;
  Channel* found = impl_->find(channel.text);
  if (found == nullptr) return;
  const std::size_t before = found->demand();
  --found->other_demand;
  impl_->demand_changed(*found, before);
}
void Hub::set_limits(HubLimits limits) { impl_->limits = limits; }

}  // namespace restream
