#include "fetch/status_source.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <utility>

#include "model/built_in.hpp"

namespace restream {

namespace {

constexpr Millis between_looks = Seconds(1);
constexpr int most_of_core = 50;  // a look takes at most one part in so many of core's time

}  // namespace

struct StatusSource::Impl : std::enable_shared_from_this<StatusSource::Impl> {
  Impl(CoreLoop l, Clock c, std::function<std::string()> i)
      : loop(std::move(l)), clock(std::move(c)), items(std::move(i)) {}

  void look_at(SteadyTime due) {
    loop.at(due, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->look();
    });
  }

  void look() {
    if (!done) return;
    if (cancelled) {
      told.clear();  // whoever comes next hears what has changed until then
      return answer(R"({"status_code":503,"result":"nobody waits for it any more"})");
    }
    const SteadyTime now = clock.steady();
    std::string text = items();
    const auto took = std::chrono::ceil<Millis>(clock.steady() - now);
    next_look = now + std::max(between_looks, took * most_of_core);
    const bool changed = text != told;
    // What was told is told once more: an item that is missing is gone when two polls say so.
    if (!changed && !again) return look_at(next_look);
    again = changed;
    told = std::move(text);
    answer(R"({"status_code":200,"result":)" + told + "}");
  }

  void answer(std::string output) {
    PluginReply reply;
    reply.kind = PluginReply::Kind::returned;
    reply.code = RESTREAM_OK;
    reply.output = std::move(output);
    std::exchange(done, nullptr)(std::move(reply));
  }

  CoreLoop loop;
  Clock clock;
  std::function<std::string()> items;
  std::function<void(PluginReply)> done;  // of the call under way
  std::string told;
  bool again = false;
  bool cancelled = false;
  SteadyTime next_look;
};

StatusSource::StatusSource(CoreLoop loop, Clock clock, std::function<std::string()> items)
    : impl_(std::make_shared<Impl>(std::move(loop), std::move(clock), std::move(items))) {}
StatusSource::~StatusSource() = default;

void StatusSource::call(PluginCall call) {
  impl_->done = std::move(call.done);
  const SteadyTime now = impl_->clock.steady();
  impl_->cancelled = false;
  impl_->look_at(std::max(now, impl_->next_look));
}

bool StatusSource::cancel() {
  if (!impl_->done) return false;
  impl_->cancelled = true;  // found at the next look
  return true;
}

Introduction StatusSource::introduction() {
  Metadata metadata;
  metadata.name = built_in_fetcher;
  metadata.description = "The daemon itself: its fetchers, their quotas and hosts, and the channels that are followed";
  metadata.id_field = "id";
  metadata.poll_interval = std::chrono::duration_cast<Seconds>(between_looks);
  metadata.complete = true;
  metadata.json = R"({"name":")" + metadata.name + R"(","description":")" + metadata.description +
                  R"(","id_field":"id","api_url":"","doc_url":"","keys":[],"poll_interval":1,"complete":true})";
  return {.metadata = std::make_shared<const Metadata>(std::move(metadata)), .rules = nullptr};
}

}  // namespace restream
