#include "tool/findings.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace restream::tool {

namespace {

constexpr std::size_t width = 100;

// Breaks at spaces; every line but the first begins with `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::size_t size = end - at;
    if (column > indent && column + 1 + size > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out.append(text, at, size);
    column += size;
    at = end + 1;
  }
  return out;
}

std::string padded(const std::string& text, std::size_t size) {
  return text + std::string(size - std::min(size, text.size()), ' ');
}

}  // namespace

void Section::find(std::string what, std::string why, std::string mend) {
  if (std::ranges::find(findings, what, &Finding::what) != findings.end()) return;
  findings.push_back({std::move(what), std::move(why), std::move(mend)});
}

std::size_t Report::findings() const {
  std::size_t count = 0;
  for (const Section& section : sections) count += section.findings.size();
  return count;
}

std::string text_of(const Report& report) {
  std::string out = report.plugin + "\n";
  for (const Section& section : report.sections) {
    const char* mark = section.skipped ? "skip" : section.findings.empty() ? "ok" : "FOUND";
    out += "  " + padded(mark, 6) + padded(section.name, 11) + wrapped(section.note, 19) + "\n";
    for (const Finding& finding : section.findings) {
      out += "    what  " + wrapped(finding.what, 10) + "\n";
      out += "    why   " + wrapped(finding.why, 10) + "\n";
      out += "    mend  " + wrapped(finding.mend, 10) + "\n";
    }
  }
  const std::size_t count = report.findings();
  out += count == 0 ? "nothing found\n" : std::to_string(count) + (count == 1 ? " finding\n" : " findings\n");
  return out;
}

std::string json_of(const Report& report) {
  using json = nlohmann::ordered_json;
  json sections = json::array();
  for (const Section& section : report.sections) {
    json findings = json::array();
    for (const Finding& finding : section.findings)
      findings.push_back({{"what", finding.what}, {"why", finding.why}, {"mend", finding.mend}});
    sections.push_back({{"check", section.name},
                        {"outcome", section.skipped            ? "skipped"
                                    : section.findings.empty() ? "fine"
                                                               : "found"},
                        {"note", section.note},
                        {"findings", std::move(findings)}});
  }
  const json out = {{"plugin", report.plugin}, {"findings", report.findings()}, {"checks", std::move(sections)}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace restream::tool
