// The hub's reading side: history, snapshots and the JSON documents.
#include <algorithm>
#include <utility>

#include "channel/conflation.hpp"
#include "channel/documents.hpp"
#include "channel/hub_impl.hpp"

namespace restream {

namespace {

// What is looked at for one answer to a subscriber that conflates or has a filter: only a part of it stays in memory.
constexpr std::size_t looked_at_bytes = 8U << 20U;
constexpr Seconds first_poll_wait{10};  // GET of a channel that was never polled

FeedError no_such_channel() { return {"unavailable", "the channel has gone; subscribe again"}; }

struct Told {
  std::vector<Event> events;
  std::uint64_t last = 0;  // of those that were looked at
};

// What is told of the log, to who conflates or has a filter (else null).
std::expected<Told, HistoryGone> told_events(Store& store, const std::string& channel, Position from, bool conflated,
                                             const Projection* projection, std::size_t max_bytes) {
  Told told{.events = {}, .last = from.offset};
  Conflation conflation;
  std::size_t bytes = 0;  // of those that are told
  for (std::size_t seen = 0; seen < looked_at_bytes && bytes < max_bytes;) {
    auto events = store.events(channel, from, max_bytes);
    if (!events) return std::unexpected(events.error());
    if (events->empty()) break;
    from.offset = told.last = events->back().offset;
    for (const Event& event : *events) seen += size_of(event.change);
    if (projection != nullptr) *events = events_through(*projection, *events);
    if (conflated) {
      conflation.add(std::move(*events));
      bytes = conflation.size() * size_of(Change{});
      continue;
    }
    for (Event& event : *events) {
      bytes += size_of(event.change);
      told.events.push_back(std::move(event));
    }
  }
  if (conflated) told.events = conflation.take();
  return told;
}

std::expected<Told, HistoryGone> all_events(Store& store, const std::string& channel, Position from,
                                            std::size_t max_bytes) {
  auto events = store.events(channel, from, max_bytes);
  if (!events) return std::unexpected(events.error());
  const std::uint64_t last = events->empty() ? from.offset : events->back().offset;
  return Told{.events = std::move(*events), .last = last};
}

std::vector<Item> items_through(const Projection& projection, const std::vector<Item>& items) {
  std::vector<Item> seen;
  for (const Item& item : items)
    if (auto json = projection.item(item.json)) seen.push_back({.id = item.id, .json = std::move(*json)});
  return seen;
}

// Null without a filter. One that nobody has any more is nothing that anybody reads with.
std::shared_ptr<const Projection> projection_of(const Channel& channel, FilterNumber filter) {
  const auto found = channel.filters.find(filter);
  return found == channel.filters.end() ? nullptr : found->second.projection;
}

}  // namespace

void Hub::Impl::read_events(ChannelNumber number, std::uint64_t after, Form form, std::size_t max_bytes,
                            std::function<void(std::expected<HistoryChunk, HistoryProblem>)> reply) {
  const Channel* channel = find(number);
  if (channel == nullptr) return reply(std::unexpected(HistoryProblem{true, no_such_channel().message}));
  if (after >= channel->record.head.offset) return reply(HistoryChunk{.frames = nullptr, .last = after});
  const Position from{channel->record.head.epoch, after};
  const auto shared = std::make_shared<decltype(reply)>(std::move(reply));
  around.store.read(
      [name = channel->id.text, label = channel->label, projection = projection_of(*channel, form.filter), from, form,
       max_bytes, shared](Store& store) {
        const auto told = form.conflated || projection
                              ? told_events(store, name, from, form.conflated, projection.get(), max_bytes)
                              : all_events(store, name, from, max_bytes);
        if (!told) return (*shared)(std::unexpected(HistoryProblem{true, "the events have left the log"}));
        HistoryChunk chunk{.frames = nullptr, .last = told->last, .told = told->events.size()};
        if (!told->events.empty()) chunk.frames = frame_events(*label, from.epoch, told->events, form);
        (*shared)(chunk);
      },
      [shared](std::string problem) { (*shared)(std::unexpected(HistoryProblem{false, std::move(problem)})); });
}

void Hub::Impl::read_snapshot(ChannelNumber number, Form form, SnapshotReply reply) {
  Channel* channel = find(number);
  if (channel == nullptr) return reply(std::unexpected(HistoryProblem{true, no_such_channel().message}));
  const std::pair place(form.filter, form.framing);
  SnapshotRead& read = channel->snapshots[place];
  if (const Frames bytes = read.bytes.lock()) return reply(SnapshotChunk{bytes, read.offset});
  read.readers.push_back(std::move(reply));
  if (read.readers.size() > 1) return;  // one read answers all
  using Result = std::expected<SnapshotChunk, HistoryProblem>;
  auto deliver = [self = shared_from_this(), number, place, commits = channel->commits](Result result) {
    self->around.loop.post([self, number, place, commits, result = std::move(result)] {
      Channel* found = self->find(number);
      if (found == nullptr) return;
      SnapshotRead& done = found->snapshots[place];
      const bool newest = result && commits == found->commits;
      if (newest) {
        done.bytes = result->frames;
        done.offset = result->offset;
      }
      const std::vector<SnapshotReply> readers = std::exchange(done.readers, {});
      const bool filter_gone = place.first != 0 && !found->filters.contains(place.first);
      if (!newest || filter_gone) found->snapshots.erase(place);
      for (const SnapshotReply& one : readers) one(result);
    });
  };
  around.store.read(
      [name = channel->id.text, label = channel->label, empty_at = Position{channel->record.head.epoch, 0},
       framing = form.framing, projection = projection_of(*channel, form.filter), deliver](Store& store) {
        Snapshot snapshot = store.snapshot(name).value_or(Snapshot{empty_at, {}});
        if (projection) snapshot.items = items_through(*projection, snapshot.items);
        deliver(SnapshotChunk{encode(framing, "snapshot", to_text(snapshot.position),
                                     snapshot_json(*label, snapshot.position, snapshot.items), *label),
                              snapshot.position.offset});
      },
      [deliver](std::string problem) { deliver(std::unexpected(HistoryProblem{false, std::move(problem)})); });
}

void Hub::Impl::get_channel(const std::string& fetcher, const Params& params, const Visitor& visitor,
                            DocumentReply reply) {
  const auto error = [](const FeedError& why) { return std::make_shared<const Document>(error_document(why)); };
  if (!may_see_fetcher(visitor.access, fetcher)) return reply(error(not_for_this_token(fetcher)));
  resolve(fetcher, params, [this, visitor, error, reply = std::move(reply)](std::expected<ChannelId, FeedError> id) {
    if (!id) return reply(error(id.error()));
    if (!may_see(visitor.access, id->text)) return reply(error(not_for_this_token(id->text)));
    auto made = find_or_make(*id, visitor.address);
    if (!made) return reply(error(made.error()));
    Channel& channel = **made;
    const std::size_t before = channel.demand();
    ++channel.other_demand;
    demand_changed(channel, before);
    // Whichever comes first, the poll or the end of the wait, answers; the other finds nothing left to do.
    const auto once = std::make_shared<DocumentReply>(reply);
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

void Hub::Impl::send_document(Channel& channel, DocumentReply reply) {
  DocumentRead& read = channel.document;
  if (read.commits == channel.commits && read.state == channel.status.state) {
    if (auto document = read.document.lock()) return reply(std::move(document));
    if (const auto readers = read.readers.lock()) return readers->push_back(std::move(reply));
  }
  const auto readers = std::make_shared<std::vector<DocumentReply>>();
  readers->push_back(std::move(reply));
  read = {.commits = channel.commits, .state = channel.status.state, .document = {}, .readers = readers};
  auto deliver = [self = shared_from_this(), number = channel.number, readers](Document document) {
    self->around.loop.post([self, number, readers, document = std::make_shared<const Document>(std::move(document))] {
      Channel* found = self->find(number);
      // The newest one is kept, for as long as somebody sends it.
      if (found != nullptr && document->status == 200 && found->document.readers.lock() == readers)
        found->document.document = document;
      for (const DocumentReply& one : *readers) one(document);
    });
  };
  around.store.read(
      [name = channel.id.text, label = channel.label, empty_at = Position{channel.record.head.epoch, 0},
       status = channel.status, deliver](Store& store) {
        Snapshot snapshot = store.snapshot(name).value_or(Snapshot{empty_at, {}});
        // Forgotten, and begun anew; only the store has not been able to write that yet.
        if (snapshot.position.epoch != empty_at.epoch) snapshot = Snapshot{empty_at, {}};
        deliver(snapshot_document(*label, snapshot, status));
      },
      [deliver](const std::string& problem) {
        deliver(error_document({"unavailable", "the store cannot be read: " + problem}));
      });
}

std::vector<ChannelEntry> Hub::Impl::list() const {
  std::vector<ChannelEntry> entries;
  entries.reserve(channels.size());
  for (const auto& [id, channel] : channels)
    entries.push_back({&channel.id, channel.label.get(), &channel.status, &channel.record, channel.subscribers});
  std::ranges::sort(entries, {}, [](const ChannelEntry& entry) -> const std::string& { return entry.id->text; });
  return entries;
}

Document Hub::Impl::list_channels(const Access& access) const {
  std::vector<ChannelEntry> entries = list();
  std::erase_if(entries, [&](const ChannelEntry& entry) { return !may_see(access, entry.id->text); });
  return channels_document(entries);
}

Document Hub::Impl::describe_fetchers(const std::optional<std::string>& fetcher, const Access& access) const {
  if (fetcher && !may_see_fetcher(access, *fetcher)) return error_document(not_for_this_token(*fetcher));
  Document document = hooks.describe_fetchers(fetcher);
  return fetcher || !access ? document : visible_fetchers(document, access);
}

}  // namespace restream
