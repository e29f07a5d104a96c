#include "serve/stream_request.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "channel/frame.hpp"
#include "serve/message.hpp"
#include "serve/stream_id.hpp"

namespace restream {

namespace {

constexpr std::string_view channels_prefix = "/channels/";
// More would not fit, as an id and as a URL, into the head of the request that resumes.
constexpr std::size_t most_by_id = 64;

std::unexpected<FeedError> refuse(std::string_view code, std::string message) {
  return std::unexpected(FeedError{std::string(code), std::move(message)});
}

// The names that begin with '_'. `since` is what is to be resumed from.
std::expected<void, FeedError> read_own(const Params& own, StreamRequest& out, std::vector<std::string>& since) {
  Filter filter;
  for (const auto& [name, value] : own) {
    if (name == "_since") {
      since.push_back(value);
    } else if (name == "_ticket") {
      // Was looked at when the request was let in.
    } else if (name == "_snapshot" && (value == "true" || value == "false")) {
      out.delivery.snapshot = value == "true";
    } else if (name == "_conflate" && (value == "true" || value == "false")) {
      out.delivery.conflate = value == "true";
    } else if (name == "_interval") {
      const auto interval = parse_interval(value);
      if (!interval) return refuse("invalid_params", "_interval must be " + std::string(interval_form));
      out.delivery.interval = *interval;
    } else if (name == "_select" || name == "_where") {
      if (auto problem = parse_filter_field(name.substr(1), value, filter))
        return refuse("invalid_params", "in the query's " + name + ": " + problem->message);
    } else if (name == "_deliver" && (value == "both" || value == "item" || value == "patch")) {
      out.delivery.deliver = value == "both" ? Deliver::both : value == "item" ? Deliver::item : Deliver::patch;
    } else {
      return refuse("invalid_params", "query name '" + name.substr(0, 64) +
                                          "': a stream knows _since=POSITION, _snapshot=true or false, "
                                          "_deliver=both, item or patch, _conflate=true or false, _interval=2s, "
                                          "_select=[JSON pointers] and _where={JSON pointer: value}");
    }
  }
  if (!filter.empty()) out.delivery.filter = std::make_shared<const Filter>(std::move(filter));
  if (!out.delivery.sound()) return refuse("invalid_params", std::string(unsound_delivery));
  return {};
}

// `nyt-top?section=world`, which is how a channel is called in its id and below /channels/.
std::expected<StreamRequest::Channel, FeedError> read_channel(const std::string& text) {
  const std::size_t mark = std::min(text.find('?'), text.size());
  auto fetcher = percent_decode(std::string_view(text).substr(0, mark));
  auto query = parse_query(std::string_view(text).substr(std::min(mark + 1, text.size())));
  const std::string where = "in channel=" + text.substr(0, 200) + ": ";
  if (!fetcher) return refuse("bad_request", where + fetcher.error().message);
  if (!query) return refuse("invalid_params", where + query.error().message);
  if (fetcher->empty()) return refuse("bad_request", where + "the fetcher's name is missing");
  if (!query->own.empty())
    return refuse("invalid_params", where + "names that begin with '_' belong to the whole stream, not to a channel");
  return StreamRequest::Channel{std::move(*fetcher), std::move(query->params), {}, text};
}

std::expected<void, FeedError> read_channels(const Params& params, std::size_t most, StreamRequest& out) {
  for (const auto& [name, value] : params) {
    if (name != "channel")
      return refuse("invalid_params", "unknown query name '" + name.substr(0, 64) +
                                          "'; a channel's params belong into its value, percent-encoded: "
                                          "channel=nyt-top%3Fsection%3Dworld");
    auto channel = read_channel(value);
    if (!channel) return std::unexpected(std::move(channel.error()));
    out.channels.push_back(std::move(*channel));
  }
  if (out.channels.empty())
    return refuse("bad_request", "name at least one channel: ?channel=nyt-top%3Fsection%3Dworld");
  if (out.channels.size() > most)
    return refuse("too_many_subscriptions",
                  "one stream may have " + std::to_string(most) + " channels at most; open another stream");
  return {};
}

}  // namespace

bool asks_for_stream(const Request& request) {
  if (request.method != "GET") return false;
  if (request.path == events_path) return true;
  return request.path.starts_with(channels_prefix) && request.path.size() > channels_prefix.size() &&
         request.header("accept").find("text/event-stream") != std::string_view::npos;
}

std::expected<StreamRequest, FeedError> parse_stream_request(const Request& request, std::size_t most) {
  StreamRequest out;
  std::vector<std::string> named;
  auto query = parse_query(request.query);
  if (!query) return refuse("invalid_params", "in the query: " + query.error().message);
  if (auto fine = read_own(query->own, out, named); !fine) return std::unexpected(std::move(fine.error()));
  out.several = request.path == events_path;
  if (out.several) {
    if (auto fine = read_channels(query->params, std::min(most, most_by_id), out); !fine)
      return std::unexpected(std::move(fine.error()));
  } else {
    auto name = percent_decode(std::string_view(request.path).substr(channels_prefix.size()));
    if (!name) return refuse("bad_request", "in the path: " + name.error().message);
    out.channels.push_back({*name, std::move(query->params), {}, request.path.substr(channels_prefix.size())});
  }
  // A reader that reconnects does so with the URL it began with; what it saw last counts.
  std::string since = named.empty() ? "" : std::move(named.back());
  if (const std::string_view last = request.header("last-event-id"); !last.empty()) since = last;
  if (!out.several) {
    out.channels.front().since = since;
  } else {
    std::vector<std::string> positions = StreamId::parse(since, out.channels.size());
    for (std::size_t i = 0; i < positions.size(); ++i) out.channels[i].since = std::move(positions[i]);
  }
  return out;
}

std::expected<StreamRequest, FeedError> parse_socket_request(const Request& request, std::size_t most) {
  StreamRequest out;
  std::vector<std::string> since;
  auto query = parse_query(request.query);
  if (!query) return refuse("invalid_params", "in the query: " + query.error().message);
  if (auto fine = read_own(query->own, out, since); !fine) return std::unexpected(std::move(fine.error()));
  if (auto fine = read_channels(query->params, std::min(most, most_by_id), out); !fine)
    return std::unexpected(std::move(fine.error()));
  if (!since.empty() && since.size() != out.channels.size())
    return refuse("bad_request", "give one _since for each channel, in the channels' order, or none at all");
  for (std::size_t i = 0; i < since.size(); ++i) out.channels[i].since = std::move(since[i]);
  return out;
}

}  // namespace restream
