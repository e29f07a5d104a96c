// Polls saved against staleness: the adaptive interval on recorded traces, beside polling at the least interval all the
// time, and beside a fixed interval that takes as many polls. Pure arithmetic, no time passes. Prints; gates nothing.
//
//   bench-adaptive [FOLDER of traces]
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "fetch/adaptive.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

// When each channel changed, in seconds since the begin, and how long was looked.
struct Trace {
  std::map<std::string, std::vector<double>> channels;
  double length = 0;
};

struct Cost {
  double polls = 0;
  std::vector<double> waits;  // of each change, until a poll found it
};

Trace read_trace(const std::string& file) {
  std::ifstream in(file);
  if (!in) {
    std::fprintf(stderr, "cannot read %s; name the folder bench/traces\n", file.c_str());
    std::exit(2);
  }
  Trace trace;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream words(line);
    std::string first;
    std::string second;
    words >> first >> second;
    if (first == "length")
      trace.length = std::stod(second);
    else
      trace.channels[second].push_back(std::stod(first));
  }
  return trace;
}

SteadyTime at(double seconds) {
  return SteadyTime{} + std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(seconds));
}

// `next` says how long to wait after a poll at that time that found a change or not.
template <typename Next>
void poll(const std::vector<double>& changes, double length, Cost& cost, Next next) {
  std::size_t seen = 0;
  for (double now = 0; now < length;) {
    ++cost.polls;
    const std::size_t before = seen;
    while (seen < changes.size() && changes[seen] <= now) cost.waits.push_back(now - changes[seen++]);
    now += next(now, seen > before);
  }
}

Cost adaptive(const Trace& trace, AdaptiveRange range) {
  Cost cost;
  for (const auto& [_, changes] : trace.channels) {
    Pace pace(range, range.min, at(0));
    poll(changes, trace.length, cost, [&](double now, bool found) {
      if (found) pace.changed(at(now));
      return static_cast<double>(pace.interval(at(now)).count()) / 1000;
    });
  }
  return cost;
}

Cost fixed(const Trace& trace, double interval) {
  Cost cost;
  for (const auto& [_, changes] : trace.channels)
    poll(changes, trace.length, cost, [interval](double, bool) { return interval; });
  return cost;
}

std::string text(double seconds) {
  char out[32];
  if (seconds < 120)
    std::snprintf(out, sizeof out, "%.0f s", seconds);
  else if (seconds < 7200)
    std::snprintf(out, sizeof out, "%.1f min", seconds / 60);
  else
    std::snprintf(out, sizeof out, "%.1f h", seconds / 3600);
  return out;
}

void print(const char* what, const Cost& cost, double of) {
  std::vector<double> waits = cost.waits;
  std::ranges::sort(waits);
  double sum = 0;
  for (const double wait : waits) sum += wait;
  std::printf("  %-28s %9.0f polls (%5.1f %%)   a change waits %8s on average, 95 %% at most %8s\n", what, cost.polls,
              100 * cost.polls / of, text(sum / static_cast<double>(waits.size())).c_str(),
              text(waits[waits.size() * 95 / 100]).c_str());
}

void compare(const std::string& folder, const char* name, AdaptiveRange range) {
  const Trace trace = read_trace(folder + "/" + name + ".txt");
  std::size_t changes = 0;
  for (const auto& [_, one] : trace.channels) changes += one.size();
  const double least = static_cast<double>(range.min.count()) / 1000;
  const double most = static_cast<double>(range.max.count()) / 1000;
  std::printf("%s: %zu channels, %zu changes in %.1f days, adaptive: {min: %s, max: %s}\n", name, trace.channels.size(),
              changes, trace.length / 86400, text(least).c_str(), text(most).c_str());
  const Cost often = fixed(trace, least);
  const Cost ours = adaptive(trace, range);
  const double same = trace.length * static_cast<double>(trace.channels.size()) / ours.polls;
  print("always min", often, often.polls);
  print("adaptive", ours, often.polls);
  print(("as many, every " + text(same)).c_str(), fixed(trace, same), often.polls);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "bench/traces";
  compare(folder, "commits", {.min = 10s, .max = 15min});
  compare(folder, "uploads", {.min = 1min, .max = 1h});
  compare(folder, "packages", {.min = 5min, .max = 24h});
}
