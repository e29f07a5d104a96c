// The text that Prometheus reads.
#include <catch2/catch.hpp>

#include "ops/metrics.hpp"

using namespace restream;
using namespace std::chrono_literals;

TEST_CASE("families come with help and type, labels are quoted and escaped") {
  MetricsText text;
  text.family("polls_total", MetricsText::Type::counter, "Polls by outcome.");
  text.sample(std::uint64_t{3}, {{"fetcher", "nyt-top"}, {"outcome", "changed"}});
  text.sample(std::uint64_t{18446744073709551615U}, {{"fetcher", "a\"b\\c\nd"}});
  text.family("quota_left", MetricsText::Type::gauge, "Calls left.");
  text.sample(0.25);
  CHECK(text.take() ==
        "# HELP restream_polls_total Polls by outcome.\n# TYPE restream_polls_total counter\n"
        "restream_polls_total{fetcher=\"nyt-top\",outcome=\"changed\"} 3\n"
        "restream_polls_total{fetcher=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n"
        "# HELP restream_quota_left Calls left.\n# TYPE restream_quota_left gauge\nrestream_quota_left 0.25\n");
}

TEST_CASE("a histogram's buckets add up, and a bound belongs to its own bucket") {
  DurationHistogram histogram;
  histogram.add(1ms);
  histogram.add(1001us);
  histogram.add(61s);
  MetricsText text;
  text.family("commit_seconds", MetricsText::Type::histogram, "Time of a commit.");
  text.sample(histogram, {{"kind", "x"}});
  const std::string out = text.take();
  CHECK_THAT(out, Catch::Contains("restream_commit_seconds_bucket{kind=\"x\",le=\"0.001\"} 1\n"));
  CHECK_THAT(out, Catch::Contains("restream_commit_seconds_bucket{kind=\"x\",le=\"0.0025\"} 2\n"));
  CHECK_THAT(out, Catch::Contains("restream_commit_seconds_bucket{kind=\"x\",le=\"60\"} 2\n"));
  CHECK_THAT(out, Catch::Contains("restream_commit_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"));
  CHECK_THAT(out, Catch::Contains("restream_commit_seconds_sum{kind=\"x\"} 61.00200"));
  CHECK_THAT(out, Catch::EndsWith("restream_commit_seconds_count{kind=\"x\"} 3\n"));
}
