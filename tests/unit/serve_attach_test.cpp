// Attach, history, snapshot and live events in every order in which they can happen.
//
// The real subscriptions of a real connection, on a loop that is run by hand. Core and the store are a model of what
// they promise (channel/feed.hpp): commits come before their announcement; an attach is answered with what was
// announced so far, on the queue of the announcements; a read sees what is committed when it is made, and its answer
// comes at any time after. Every order of these steps is tried, and in each the client must hear the log without a gap
// or a repetition, and each status between the events that it came between.
#include <catch2/catch.hpp>

#include "serve_attach_model.hpp"

using namespace restream;
using namespace restream::test;

namespace {

// One run of one scenario, under the choices that are given.
class Run {
 public:
  Run(Wire& wire, const Scenario& scenario) : wire_(wire), scenario_(scenario) {
    Feed& feed = wire.context.feed;
    feed.read_events = [this](ChannelNumber, std::uint64_t after, Form form, std::size_t, auto reply) {
      pending_ = [this, after, form, reply] { return events_after(after, form, reply); };
    };
    feed.read_snapshot = [this](ChannelNumber, Form form, auto reply) {
      // After one has left and come back, an answer to what it asked before is of no use.
      pending_ = [this, form, reply, visit = left_] {
        return [this, visit, answer = snapshot(form.framing, reply)] {
          if (visit == left_) owed_ = false;
          answer();
        };
      };
    };
    feed.detach = [this](ServeNumber, ChannelNumber, Form) { attached_ = false; };
    wire.connection->on_room = [this] {
      if (subscriptions_) subscriptions_->on_room();
    };
    subscriptions_ = std::make_shared<Subscriptions>(wire.connection, Framing::websocket, nullptr,
                                                     [this](const std::string& position) {
                                                       lost_ = position;
                                                       subscriptions_->clear();
                                                     });
    for (int i = 0; i < scenario.before; ++i) {
      commit();
      announced_ = committed_;
      announced_batches_ = encoded_batches_ = batches_;
    }
    if (scenario.blocked) block();
  }
  ~Run() {
    subscriptions_->clear();
    subscriptions_.reset();
    wire_.connection->on_room = nullptr;
    wire_.drain();
    wire_.input.clear();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::vector<Step> possible() const {
    std::vector<Step> steps;
    const auto may = [&](bool condition, Step step) {
      if (condition) steps.push_back(step);
    };
    const bool busy = scenario_.encodes && announced_batches_ < batches_;
    may(batches_ < scenario_.batches.size() && !busy, Step::commit);
    may(busy && encoded_batches_ < batches_, Step::encode);
    may(announced_batches_ < (scenario_.encodes ? encoded_batches_ : batches_), Step::announce);
    may(scenario_.status && !status_told_, Step::status);
    may(scenario_.trim && !trimmed_ && committed_ > 0, Step::trim);
    may(!asked_, Step::attach);
    may(!queue_.empty(), Step::serve);
    may(static_cast<bool>(pending_), Step::read);
    may(static_cast<bool>(answer_), Step::deliver);
    may(scenario_.blocked && !drained_, Step::drain);
    may(scenario_.again && !left_ && subscriptions_->size() > 0, Step::leave);
    return steps;
  }

  void take(Step step) {
    switch (step) {
      case Step::commit:
        return commit();
      case Step::encode:
        return begin_encoding();
      case Step::announce:
        return announce();
      case Step::status:
        return tell_status();
      case Step::trim:
        trimmed_ = true;
        first_ = committed_;
        return;
      case Step::attach:
        return attach();
      case Step::serve:
        return serve_one();
      case Step::read:
        answer_ = std::exchange(pending_, nullptr)();
        return;
      case Step::deliver:
        queue_.push_back(std::exchange(answer_, nullptr));
        return;
      case Step::drain:
        wire_.drain();
        drained_ = true;
        return;
      case Step::leave:
        left_ = true;
        asked_ = false;
        subscriptions_->remove(number);
        wire_.connection->send(frame(R"({"type":"unsubscribed"})"));
        return;
    }
  }

  // The position that a close frame would name now: of what was sent, and none while the snapshot is owed.
  std::string judge_position() const {
    const std::string named = subscriptions_->resume_position();
    if (named.empty() == (owed_ || subscriptions_->size() == 0)) return "";
    return named.empty() ? "no position to resume from" : "a position whose snapshot was not sent: " + named;
  }

  // What the client heard, judged: empty when all is well.
  std::string judge() {
    wire_.drain();
    std::vector<json> heard = wire_.messages();
    if (left_) {
      // What came before is judged as far as it got; the rest must be whole.
      const auto cut = std::ranges::find(heard, "unsubscribed", [](const json& one) { return one["type"]; });
      if (cut == heard.end()) return "no goodbye";
      if (std::string bad = judge({heard.begin(), cut}, false); !bad.empty()) return "at first: " + bad;
      heard.erase(heard.begin(), cut + 1);
    }
    return judge(heard, true);
  }

 private:
  void commit() {
    committed_ += static_cast<std::uint64_t>(scenario_.batches[batches_]);
    ++batches_;
  }
  // From here on core knows of the events. Who comes later may have read them in the log, and is encoded for only where
  // somebody else takes the same form.
  void begin_encoding() {
    ++encoded_batches_;
    known_ = committed_;
    in_audience_ = attached_;
  }
  void announce() {
    const auto last = announced_ + static_cast<std::uint64_t>(scenario_.batches[announced_batches_]);
    ++announced_batches_;
    const std::uint64_t after = std::exchange(announced_, last);
    if (!attached_) return;
    auto announcement = std::make_shared<Announcement>();
    announcement->channel = number;
    announcement->after = after;
    announcement->last = last;
    if (!scenario_.alone || in_audience_) announcement->frames[0] = frames(after, last, {});
    queue_.emplace_back([this, announcement] {
      wire_.loop.channels().announce(*announcement, wire_.loop.gates(), wire_.loop.stats());
    });
  }
  static json status_json() { return {{"type", "status"}}; }
  void tell_status() {
    status_told_ = true;
    status_at_ = announced_;
    if (!attached_) return;
    heard_status_ = true;
    queue_.emplace_back(
        [this] { wire_.loop.channels().announce_status({number, {frame(status_json().dump()), nullptr}}); });
  }
  void attach() {
    asked_ = attached_ = true;
    Attached attached{.channel = number,
                      .label = label_,
                      .head = {epoch, announced_},
                      .resumed = scenario_.since && *scenario_.since <= std::max(announced_, known_) &&
                                 *scenario_.since + 1 >= first_,
                      .cursor = scenario_.since.value_or(0),
                      .status = nullptr};
    resumed_ = attached.resumed;
    if (status_told_) {
      attached.status = frame(status_json().dump());
      heard_status_ = true;
      status_at_ = std::max(announced_, attached.resumed ? attached.cursor : 0);
    } else {
      heard_status_ = false;
    }
    queue_.emplace_back([this, attached] {
      owed_ = !attached.resumed && scenario_.snapshot && attached.head.offset > 0;
      subscriptions_->add(attached, {.snapshot = scenario_.snapshot});
    });
  }
  // What the serve thread does next. Its queue is ours, for the loop's own holds other things too.
  void serve_one() {
    const auto job = std::move(queue_.front());
    queue_.pop_front();
    job();
    wire_.run();
  }

  Frames frames(std::uint64_t after, std::uint64_t last, Form form) const {
    std::vector<Event> events;
    for (std::uint64_t i = after + 1; i <= last; ++i) events.push_back(event_at(i));
    return frame_events(*label_, epoch, events, form);
  }
  template <typename Reply>
  std::function<void()> events_after(std::uint64_t after, Form form, const Reply& reply) const {
    if (after + 1 < first_) return [reply] { reply(std::unexpected(HistoryProblem{.gone = true, .message = {}})); };
    const std::uint64_t last = std::min(committed_, after + chunk);
    HistoryChunk found{
        .frames = last > after ? frames(after, last, form) : nullptr, .last = last, .told = last - after};
    return [reply, found] { reply(found); };
  }
  template <typename Reply>
  std::function<void()> snapshot(Framing framing, const Reply& reply) const {
    std::vector<Item> items;
    for (const auto& [id, offset] : state_at(committed_)) items.push_back({.id = id, .json = std::to_string(offset)});
    const Position at{epoch, committed_};
    SnapshotChunk found{.frames = encode(framing, "snapshot", to_text(at), snapshot_json(*label_, at, items)),
                        .offset = committed_};
    return [reply, found] { reply(found); };
  }

  // More than the kernel takes, and more than may be queued while the log is read.
  void block() {
    const std::size_t enough = Connection::low_water + 1;
    while (wire_.connection->outbox().queued() < enough)
      wire_.connection->send(std::make_shared<const std::string>(enough, ' '));
  }

  std::string judge(const std::vector<json>& heard, bool to_the_end) const {
    if (heard.empty()) return to_the_end ? "nothing was heard" : "";
    if (heard[0]["type"] != "subscribed") return "the first is " + heard[0].dump();
    std::uint64_t cursor = parse_position(heard[0]["position"].get<std::string>())->offset;
    if (heard[0]["resumed"] == true && cursor != scenario_.since) return "resumed from elsewhere";
    bool awaiting = heard[0]["resumed"] == false && scenario_.snapshot;
    int statuses = 0;
    for (std::size_t i = 1; i < heard.size(); ++i) {
      const json& one = heard[i];
      const std::string type = one["type"];
      if (type == "status") {
        ++statuses;
        if (awaiting) return "a status before the snapshot";
        // Never early; and late by what was read together with the events before it.
        const bool read = i > 0 && heard[i - 1]["type"] == "snapshot";
        if (to_the_end && (cursor < status_at_ || (cursor >= status_at_ + chunk && !read)))
          return "the status of " + std::to_string(status_at_) + " comes at " + std::to_string(cursor);
        continue;
      }
      const std::uint64_t offset = parse_position(one["position"].get<std::string>())->offset;
      if (type == "snapshot") {
        if (!awaiting) return "a snapshot that nobody asked for";
        awaiting = false;
        std::map<std::string, std::uint64_t> told;
        for (const json& item : one["items"]) told[item["id"]] = item["item"];
        if (told != state_at(offset)) return "the snapshot is not of its position";
        if (offset < cursor) return "the snapshot is older than the answer";
      } else {
        if (awaiting) return "an event before the snapshot";
        if (offset != cursor + 1) return std::to_string(offset) + " after " + std::to_string(cursor);
        if (one["item"] != offset || one["id"] != item_id(offset)) return "another event than that in the log";
      }
      cursor = offset;
    }
    if (!to_the_end) return "";
    if (lost_) {
      if (!scenario_.trim) return "lost, and nothing was trimmed";
      return parse_position(*lost_)->offset == cursor || awaiting ? "" : "lost with another position than it had";
    }
    if (awaiting) return "the snapshot never came";
    if (cursor != committed_) return "it ends at " + std::to_string(cursor) + " of " + std::to_string(committed_);
    if (statuses != (heard_status_ ? 1 : 0)) return std::to_string(statuses) + " statuses";
    return "";
  }

  Wire& wire_;
  const Scenario& scenario_;
  const std::shared_ptr<const std::string> label_ =
      std::make_shared<const std::string>(channel_label(make_channel_id("news", {})));
  std::shared_ptr<Subscriptions> subscriptions_;
  std::size_t batches_ = 0;
  std::size_t encoded_batches_ = 0;
  std::size_t announced_batches_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t known_ = 0;
  std::uint64_t announced_ = 0;
  std::uint64_t first_ = 1;
  std::uint64_t status_at_ = 0;
  std::deque<std::function<void()>> queue_;  // of the serve thread
  std::function<std::function<void()>()> pending_;
  std::function<void()> answer_;
  std::optional<std::string> lost_;
  bool owed_ = false;  // it waits for a snapshot
  bool asked_ = false;
  bool attached_ = false;
  bool in_audience_ = false;
  bool resumed_ = false;
  bool status_told_ = false;
  bool heard_status_ = false;
  bool trimmed_ = false;
  bool drained_ = false;
  bool left_ = false;
};

// Runs the scenario under every order of steps; gives how many there are.
std::size_t try_all(Wire& wire, const Scenario& scenario) {
  // The choices of one run, and out of how many each was made: counted up like the digits of a number.
  std::vector<std::pair<std::size_t, std::size_t>> choices;
  std::size_t runs = 0;
  do {
    Run run(wire, scenario);
    std::string schedule;
    std::size_t depth = 0;
    for (std::vector<Step> steps = run.possible(); !steps.empty(); steps = run.possible(), ++depth) {
      if (depth == choices.size()) choices.emplace_back(0, steps.size());
      const Step step = steps.at(choices[depth].first);
      schedule += ' ' + std::to_string(static_cast<int>(step));
      run.take(step);
      if (const std::string bad = run.judge_position(); !bad.empty())
        FAIL(scenario.name << ", run " << runs << ": " << bad << "; steps:" << schedule);
    }
    ++runs;
    if (const std::string bad = run.judge(); !bad.empty()) {
      FAIL(scenario.name << ", run " << runs << ": " << bad << "; steps:" << schedule);
    }
    while (!choices.empty() && choices.back().first + 1 == choices.back().second) choices.pop_back();
    if (!choices.empty()) ++choices.back().first;
  } while (!choices.empty());
  return runs;
}

}  // namespace

TEST_CASE("history, snapshot and live events in every order have neither gap nor repetition") {
  const Scenario scenarios[] = {
      {.name = "never polled", .batches = {1, 2, 1}},
      {.name = "a snapshot", .batches = {2, 1, 2}, .before = 1},
      {.name = "live only", .batches = {2, 1, 2, 1}, .before = 1, .snapshot = false},
      {.name = "a resume", .batches = {3, 1, 2}, .before = 1, .since = 1},
      {.name = "a resume at the head", .batches = {3, 1, 2, 1}, .before = 1, .since = 3},
      {.name = "a position of the future", .batches = {2, 1}, .before = 1, .since = 9},
      {.name = "a status and a snapshot", .batches = {1, 1}, .before = 1, .status = true},
      {.name = "a status and a resume", .batches = {2, 1}, .before = 1, .since = 0, .status = true},
      {.name = "a log that is trimmed", .batches = {2, 2}, .before = 1, .since = 0, .trim = true},
      {.name = "a snapshot of a log that is trimmed", .batches = {2, 2}, .before = 1, .trim = true},
      {.name = "a slow reader", .batches = {1, 1, 1}, .before = 1, .snapshot = false, .blocked = true},
      {.name = "a slow reader of a snapshot", .batches = {2, 1}, .before = 1, .blocked = true},
      {.name = "a slow reader that resumes", .batches = {3, 1}, .before = 1, .since = 0, .blocked = true},
      {.name = "one that leaves and comes back", .batches = {1, 1}, .before = 1, .again = true},
      {.name = "never polled, long to encode", .batches = {2, 1}, .encodes = true},
      {.name = "a snapshot, long to encode", .batches = {2, 1}, .before = 1, .encodes = true},
      {.name = "a resume before what is encoded", .batches = {2, 1, 1}, .before = 1, .since = 2, .encodes = true},
      {.name = "a resume behind what is encoded", .batches = {2, 1, 1}, .before = 1, .since = 3, .encodes = true},
      {.name = "a status meanwhile", .batches = {2, 1}, .before = 1, .since = 2, .status = true, .encodes = true},
      {.name = "a status behind it", .batches = {2, 1}, .before = 1, .since = 3, .status = true, .encodes = true},
      {.name = "not encoded for", .batches = {2, 1, 1}, .before = 1, .since = 2, .encodes = true, .alone = true},
  };
  Wire wire;
  std::size_t runs = 0;
  for (const Scenario& scenario : scenarios) {
    const std::size_t tried = try_all(wire, scenario);
    INFO(scenario.name << ": " << tried);
    CHECK(tried > 10);
    runs += tried;
    if (std::getenv("RESTREAM_TEST_LOG") != nullptr) WARN(scenario.name << ": " << tried << " orders");
  }
  CHECK(runs > 5000);
}
