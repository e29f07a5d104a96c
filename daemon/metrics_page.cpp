#include "metrics_page.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ops/metrics.hpp"

namespace restream {

namespace {

using Type = MetricsText::Type;

void write_process(MetricsText& text, const std::string& version) {
  text.family("build_info", Type::gauge, "The version that runs; the value is always 1.");
  text.sample(std::uint64_t{1}, {{"version", version}});
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  text.family("cpu_seconds_total", Type::counter, "CPU time of the daemon itself, without its plugins.");
  text.sample(seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  text.family("resident_memory_bytes", Type::gauge, "Memory of the daemon itself, without its plugins.");
  text.sample(resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
  std::error_code failed;
  std::uint64_t descriptors = 0;
  for (auto one = std::filesystem::directory_iterator("/proc/self/fd", failed);
       !failed && one != std::filesystem::directory_iterator(); one.increment(failed))
    ++descriptors;
  text.family("open_descriptors", Type::gauge, "File descriptors in use.");
  text.sample(descriptors);
}

void write_serving(MetricsText& text, const Server::Totals& totals, std::size_t connections_limit) {
  text.family("connections", Type::gauge, "Open client connections.");
  text.sample(totals.connections);
  text.family("connections_limit", Type::gauge, "Beyond this many connections clients are told to come back later.");
  text.sample(std::uint64_t{connections_limit});
  text.family("subscribers", Type::gauge, "Subscriptions of WebSockets and event streams.");
  const auto followers = [&totals](Framing framing) { return totals.followers.at(static_cast<std::size_t>(framing)); };
  text.sample(followers(Framing::websocket), {{"kind", "websocket"}});
  text.sample(followers(Framing::websocket_deflate), {{"kind", "websocket-deflate"}});
  text.sample(followers(Framing::sse), {{"kind", "sse"}});
  text.sample(followers(Framing::cloudevents), {{"kind", "cloudevents"}});
  text.family("deliveries_total", Type::counter, "Events handed to a subscriber's connection, live or from the log.");
  text.sample(totals.deliveries);
  text.family("sent_bytes_total", Type::counter, "Bytes sent to clients.");
  text.sample(totals.sent_bytes);
  text.family("queued_bytes", Type::gauge, "Bytes that wait for clients to read.");
  text.sample(totals.queued_bytes);
  text.family("slow_disconnects_total", Type::counter, "Subscribers closed because they did not keep up.");
  text.sample(totals.slow_disconnects);
  text.family("http_responses_total", Type::counter,
              "Answers to clients by class of status; 1xx are WebSocket upgrades.");
  for (std::size_t i = 0; i < totals.responses.size(); ++i)
    text.sample(totals.responses.at(i), {{"code", std::to_string(i + 1) + "xx"}});
}

void write_channels(MetricsText& text, const Hub::Counts& counts) {
  text.family("channels", Type::gauge, "Channels that somebody follows, or did within the last minute, by state.");
  for (const State state :
       {State::pending, State::live, State::limited, State::failing, State::needs_key, State::unavailable}) {
    const auto found = counts.channels.find(state);
    text.sample(std::uint64_t{found == counts.channels.end() ? 0 : found->second}, {{"state", restream::text(state)}});
  }
  text.family("events_total", Type::counter, "Committed changes by fetcher and kind.");
  for (const auto& [fetcher, told] : counts.events) {
    text.sample(told[0], {{"fetcher", fetcher}, {"kind", "new"}});
    text.sample(told[1], {{"fetcher", fetcher}, {"kind", "updated"}});
    text.sample(told[2], {{"fetcher", fetcher}, {"kind", "removed"}});
  }
  text.family("store_up", Type::gauge, "1 when the last write to the store succeeded.");
  text.sample(std::uint64_t{counts.store_works ? 1U : 0U});
}

void write_store(MetricsText& text, const StoreThread::Stats& stats) {
  text.family("store_polls_waiting", Type::gauge, "Polls that wait to be compared and written, or are being.");
  text.sample(stats.waiting.value());
  text.family("diff_seconds", Type::histogram, "Cutting one poll's result into items and comparing them.");
  text.sample(stats.diffs);
  text.family("commit_seconds", Type::histogram, "Diff and transaction of one group of polls.");
  text.sample(stats.commits);
  text.family("commit_failures_total", Type::counter, "Transactions that failed; their polls were dropped.");
  text.sample(stats.failures.value());
}

void write_http(MetricsText& text, const HttpLoad& load) {
  text.family("upstream_requests_active", Type::gauge, "Requests to APIs under way.");
  text.sample(std::uint64_t{load.active});
  text.family("upstream_requests_waiting", Type::gauge, "Requests to APIs that wait for their origin to have room.");
  text.sample(std::uint64_t{load.waiting});
}

}  // namespace

std::string metrics_page(const MetricsSources& sources) {
  MetricsText text;
  write_process(text, sources.version);
  write_serving(text, sources.server.totals(), sources.connections_limit);
  write_channels(text, sources.hub.counts());
  write_store(text, sources.store.stats());
  write_http(text, sources.http.load());
  sources.fetchers.write_metrics(text);
  return text.take();
}

}  // namespace restream
