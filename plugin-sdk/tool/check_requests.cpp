// What a plugin asks of the API: where, with which headers, and what becomes of params on their way into a URL.
#include <restream/fetcher.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "tool/examination.hpp"

namespace restream::tool {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 5> headers_of_ours = {"host", "user-agent", "accept-encoding", "if-none-match",
                                                             "if-modified-since"};
// Values that mean something in a URL. A fetcher may refuse them (by its patterns); one that takes them must encode
// them.
constexpr std::array<const char*, 12> hostile = {"x?evil=1",      "x&evil=1", "x#evil",       "x y",
                                                 "x%2fevil",      "../x",     "x/../../evil", "..",
                                                 "@evil.example", "\xC3\xA9", "x\"y",         "x+y"};
constexpr std::array<const char*, 10> harmless = {"a",        "abc", "x",   "1",           "42",
                                                  "12345678", "a-b", "a/b", "acme/rocket", "2024-01-01"};

struct UrlParts {
  std::vector<std::string> segments;
  std::multiset<std::string> names;  // of the query
  bool fragment = false;
  bool raw = false;  // bytes that no URL may hold
  std::size_t questions = 0;
};

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == by) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

UrlParts parts_of(const std::string& url) {
  UrlParts parts;
  parts.fragment = url.find('#') != std::string::npos;
  parts.raw = std::ranges::any_of(url, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f || c == '"';
  });
  const std::string plain = url.substr(0, url.find('#'));
  const auto question = plain.find('?');
  const auto scheme = plain.find("://");
  const auto path_at = plain.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  if (path_at != std::string::npos && path_at < question)
    parts.segments = split(plain.substr(path_at, question - path_at), '/');
  if (question == std::string::npos) return parts;
  const std::string query = plain.substr(question + 1);
  for (const std::string& pair : split(query, '&')) parts.names.insert(pair.substr(0, pair.find('=')));
  return parts;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string origin_text(const std::string& url) { return origin_of(url).value_or("something that is no http URL"); }

// What is wrong with the URL that a hostile value made; empty: nothing.
std::string damage(const std::string& url, const std::string& value, const UrlParts& good, const std::string& origin) {
  if (origin_text(url) != origin) return "it sends the request to " + origin_text(url);
  const UrlParts parts = parts_of(url);
  if (parts.fragment) return "it cuts the URL off by a '#'";
  if (parts.raw) return "it puts spaces, quotes or bytes beyond ASCII into the URL as they are";
  for (const std::string& segment : parts.segments)
    if (segment == ".." || segment == ".") return "it leads to another path by '" + segment + "'";
  if (parts.names != good.names) return "it changes the names in the query";
  if (value == "x%2fevil" && url.find("x%2fevil") != std::string::npos)
    return "its '%' is put in as it is, so it means another value";
  if (value == "x+y" && url.find("x+y") > url.find('?') && url.find("x+y") != std::string::npos)
    return "its '+' is put into the query as it is, where most servers read a space";
  return {};
}

}  // namespace

Section check_requests(Examination& exam) {
  Section section{.name = "requests", .note = {}, .skipped = false, .findings = {}};
  const Upstream upstream = always(500, R"({"error": "a made-up failure"})");
  std::size_t count = 0;
  for (const ChannelId& channel : exam.channels) {
    const Seen seen = exam.fetch(channel, upstream);
    if (seen.ended_host()) {
      section.find("fetch() for " + channel.text + ": " + say(seen),
                   "Its channels fail, and the host is started again.",
                   "Run it under a debugger, or build it with -fsanitize=address and call it from a test.");
      return section;
    }
    count += seen.result.asked.size();
    for (const HostHttpRequest& request : seen.result.asked) {
      if (origin_text(request.url) != exam.subject.origin)
        section.find("it asks " + origin_text(request.url) + ", and api_url is at " + exam.subject.origin,
                     "Requests to another origin are refused: keys must not go elsewhere.",
                     "Correct api_url, or ask its origin only.");
      for (const auto& [name, value] : request.headers)
        if (std::ranges::find(headers_of_ours, lower(name)) != headers_of_ours.end())
          section.find("it sends the header " + name,
                       "That header is restream's: conditional requests, compression and the "
                       "name that APIs are told are its work, the same for every plugin.",
                       "Leave it out.");
    }
  }
  if (count == 0) {
    section.find("fetch() asks for nothing", "Items come from an API; a sandboxed plugin has no other source of news.",
                 "Ask through context.get() (C: call->http).");
    return section;
  }
  section.note = std::to_string(count) + " seen for " + std::to_string(exam.channels.size()) + " channels, all to " +
                 exam.subject.origin;

  json more = json::parse(exam.request_for(exam.channel()));
  more["a-member-of-later"] = {{"deep", json::array({1, nullptr})}};
  more["keys"]["a-key-of-later"] = "unused-value-of-a-later-key";
  const Upstream same = exam.recording ? Replay(*exam.recording, exam.redactor).same_call() : upstream;
  const Seen before = exam.fetch(exam.channel(), same);
  const Upstream same_again = exam.recording ? Replay(*exam.recording, exam.redactor).same_call() : upstream;
  const Seen after = exam.fetch_text(more.dump(), same_again);
  if (after.kind != before.kind || after.status != before.status)
    section.find("with members in the request that it does not know, it ends otherwise: " + say(after),
                 "A later restream may send more than this one does.",
                 "Read the members you know and ignore the others.");
  for (const char* wrong : {"{}", "[]", "no JSON", R"({"call":"fetch","channel":"x","params":null,"keys":null})"}) {
    const Seen seen = exam.fetch_text(wrong, upstream);
    if (seen.ended_host())
      section.find(std::string("called with the request ") + wrong + ": " + say(seen),
                   "A crash takes every other call of the plugin with it.",
                   "Return RESTREAM_BAD_REQUEST for what you cannot read.");
  }
  return section;
}

Section check_params(Examination& exam) {
  Section section{.name = "params", .note = {}, .skipped = false, .findings = {}};
  const Upstream upstream = always(500, R"({"error": "a made-up failure"})");
  std::size_t tried = 0;
  for (const ParamSpec& spec : exam.subject.metadata.params) {
    const auto with = [&](const std::string& value) {
      Params params;
      for (const auto& [name, given] : exam.channel().params)
        if (name != spec.name) params.emplace_back(name, given);
      params.emplace_back(spec.name, value);
      return exam.channel_of(std::move(params));
    };
    std::optional<ChannelId> good;
    for (const char* value : harmless)
      if (!good) good = with(value);
    if (!good || !spec.allowed.empty()) continue;
    const Seen plain = exam.fetch(*good, upstream);
    if (plain.result.asked.empty()) continue;
    const UrlParts expected = parts_of(plain.result.asked.front().url);
    for (const char* value : hostile) {
      const auto channel = with(value);
      if (!channel) continue;
      ++tried;
      const Seen seen = exam.fetch(*channel, upstream);
      std::string problem;
      if (seen.ended_host()) problem = say(seen);
      for (const HostHttpRequest& request : seen.result.asked)
        if (problem.empty()) problem = damage(request.url, value, expected, exam.subject.origin);
      if (problem.empty()) continue;
      section.find(
          "param '" + spec.name + "' with the value '" + value + "': " + problem,
          "Anybody who may subscribe chooses params: they could make the plugin ask for other things, with your key.",
          "Put params into URLs by restream::percent_encode() (C and Rust: encode everything outside A-Z a-z 0-9 - . _ "
          "~), "
          "and give the param a `pattern` that keeps out what is no value.");
      break;  // one for each param says it all
    }
  }
  section.note = exam.subject.metadata.params.empty() ? "it has none"
                 : tried == 0                         ? "all are closed lists or patterns that keep hostile values out"
                                                      : std::to_string(tried) + " hostile values tried";
  return section;
}

}  // namespace restream::tool
