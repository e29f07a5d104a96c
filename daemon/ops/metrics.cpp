#include "ops/metrics.hpp"

#include <algorithm>
#include <charconv>

namespace restream {

namespace {

constexpr std::string_view prefix = "restream_";

std::string number(double value) {
  std::array<char, 32> buffer{};
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return code == std::errc{} ? std::string(buffer.data(), end) : "NaN";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

constexpr std::string_view name_of(MetricsText::Type type) {
  switch (type) {
    case MetricsText::Type::counter:
      return "counter";
    case MetricsText::Type::gauge:
      return "gauge";
    case MetricsText::Type::histogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

void DurationHistogram::add(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto bucket = std::ranges::lower_bound(bounds, seconds) - bounds.begin();
  buckets_.at(static_cast<std::size_t>(bucket)).add();
  nanoseconds_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
}

void MetricsText::family(std::string_view name, Type type, std::string_view help) {
  name_ = std::string(prefix) + std::string(name);
  text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " + std::string(name_of(type)) + "\n";
}

void MetricsText::sample(double value, Labels labels) { line("", labels, "", number(value)); }
void MetricsText::sample(std::uint64_t value, Labels labels) { line("", labels, "", std::to_string(value)); }

void MetricsText::sample(const DurationHistogram& histogram, Labels labels) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < DurationHistogram::bounds.size(); ++i) {
    total += histogram.buckets_.at(i).value();
    line("_bucket", labels, number(DurationHistogram::bounds.at(i)), std::to_string(total));
  }
  total += histogram.buckets_.back().value();
  line("_bucket", labels, "+Inf", std::to_string(total));
  line("_sum", labels, "", number(static_cast<double>(histogram.nanoseconds_.value()) * 1e-9));
  line("_count", labels, "", std::to_string(total));
}

void MetricsText::line(std::string_view suffix, Labels labels, std::string_view bound, const std::string& value) {
  text_ += name_;
  text_ += suffix;
  std::string inside;
  for (const auto& [name, content] : labels) inside += std::string(name) + "=\"" + escaped(content) + "\",";
  if (!bound.empty()) inside += "le=\"" + std::string(bound) + "\",";
  if (!inside.empty()) {
    inside.pop_back();
    text_ += "{" + inside + "}";
  }
  text_ += " " + value + "\n";
}

}  // namespace restream
