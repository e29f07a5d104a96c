// What a poll of many items costs until it is on disk: slice, diff, patches, one SQLite transaction.
//
//   build/release/bench/bench-commit [--only unchanged|changed|million] [--json]
//
// Prints CPU time (user and system, of the whole process, which has one thread) and memory:
//   unchanged    100,000 items, of which one is another than before, so that the result as a whole is another
//   changed      10,000 items of 10,000, each with one member changed: fingerprints, patches both ways, commit
//   a million    items of one channel: the first poll, an unchanged one, one with one change
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "channel/committer.hpp"
#include "measure.hpp"
#include "store/sqlite_store.hpp"

namespace {

using namespace restream;

double cpu_ms() { return bench::cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) * 1e3; }

// Resident now, and at most so far since the last call.
struct Memory {
  double now = 0;
  double peak = 0;
};
Memory memory_mib() {
  Memory memory;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == "VmRSS:" && status >> kib) memory.now = kib / 1024;
    if (word == "VmHWM:" && status >> kib) memory.peak = kib / 1024;
  }
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
  return memory;
}

// Items of about 100 bytes; `changed` of them, from the first on, say `round`, the others 0.
std::string result_of(std::size_t count, std::size_t changed, int round) {
  std::string text = R"({"status_code":200,"result":[)";
  for (std::size_t i = 0; i < count; ++i) {
    text += i == 0 ? "" : ",";
    text += R"({"id":)" + std::to_string(i) + R"(,"title":"a title of some words and a number","tags":["a","b"],"n":)" +
            std::to_string(i < changed ? round : 0) + "}";
  }
  return text + "]}";
}

// As small as an item can be: more than the 16 MiB of an answer would not come through otherwise.
std::string small_result_of(std::size_t count, int round) {
  std::string text = R"({"status_code":200,"result":[)";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? R"({"id":)" : R"(,{"id":)") + std::to_string(i) + "}";
  return text + R"(,{"id":"x","n":)" + std::to_string(round) + "}]}";
}

class Channel {
 public:
  Channel(Store& store, std::string name) : committer_(store), name_(std::move(name)) {}

  // CPU milliseconds.
  double poll(std::string result, std::size_t events) {
    const std::vector<PollInput> inputs{PollInput{.channel = name_,
                                                  .epoch = 1,
                                                  .rules = rules_,
                                                  .result = std::move(result),
                                                  .now = WallTime(Seconds(1'800'000'000 + 60 * ++polls_)),
                                                  .schedule = {}}};
    const double start = cpu_ms();
    const GroupOutcome outcome = committer_.commit(inputs, {});
    const double took = cpu_ms() - start;
    const std::size_t found = outcome.polls.front().events ? outcome.polls.front().events->events.size() : 0;
    if (outcome.polls.front().kind != PollOutcome::Kind::committed || found != events) {
      std::fprintf(stderr, "bench-commit: %zu events where %zu were due: %s\n", found, events,
                   outcome.polls.front().problem.c_str());
      std::exit(1);
    }
    return took;
  }

 private:
  Committer committer_;
  std::string name_;
  std::int64_t polls_ = 0;
  std::shared_ptr<const CommitRules> rules_ =
      std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id", .ignore = {}, .unordered = {}}});
};

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      std::fputs("usage: bench-commit [--only unchanged|changed|million] [--json]\n", stderr);
      return 2;
    }
  }
  const auto wanted = [&only](std::string_view part) { return only.empty() || only == part; };
  std::string directory = (std::filesystem::temp_directory_path() / "restream-bench-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  {
    auto store = open_sqlite_store(directory);
    if (!store) return 1;
    constexpr int rounds = 9;

    std::string out;
    const auto print = [&out](const char* format, auto... values) {
      std::array<char, 256> line{};
      std::snprintf(line.data(), line.size(), format, values...);
      out += line.data();
    };
    if (wanted("unchanged")) {
      Channel many(**store, "many");
      many.poll(result_of(100'000, 0, 0), 100'000);
      std::vector<double> took;
      for (int i = 1; i <= rounds; ++i) took.push_back(many.poll(result_of(100'000, 1, i), 1));
      print(json ? R"("unchanged_100000_ms":%.1f,)" : "100,000 items, one of them changed   %8.1f ms of CPU\n",
            bench::median(took));
    }
    if (wanted("changed")) {
      Channel busy(**store, "busy");
      busy.poll(result_of(10'000, 10'000, 0), 10'000);
      std::vector<double> took;
      for (int i = 1; i <= rounds; ++i) took.push_back(busy.poll(result_of(10'000, 10'000, i), 10'000));
      print(json ? R"("changed_10000_ms":%.1f,"changed_per_second":%.0f,)"
                 : "10,000 changed items, committed      %8.1f ms, %.0f a second\n",
            bench::median(took), 10'000 / (bench::median(took) / 1e3));
    }
    if (wanted("million")) {
      const Memory before = memory_mib();
      Channel huge(**store, "huge");
      const double first = huge.poll(small_result_of(1'000'000, 0), 1'000'001);
      const Memory after_first = memory_mib();
      const double again = huge.poll(small_result_of(1'000'000, 1), 1);
      const Memory after_again = memory_mib();
      print(
          json ? R"("million_first_ms":%.0f,"million_again_ms":%.0f,"million_mib":%.0f,)"
               : "a million items: first poll          %8.0f ms, one change later %.0f ms; %.0f MiB held between polls",
          first, again, after_again.now - before.now);
      print(json ? R"("million_peak_first_mib":%.0f,"million_peak_again_mib":%.0f,)"
                 : ", at most %.0f MiB in the first and %.0f MiB in the later one\n",
            after_first.peak - before.now, after_again.peak - before.now);
    }
    if (json) out = "{" + out.substr(0, out.size() - 1) + "}\n";
    std::fputs(out.c_str(), stdout);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
