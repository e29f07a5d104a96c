#include "fetch/introduction.hpp"

#include <restream/fetcher.h>

#include <utility>

#include "fetch/fetcher.hpp"
#include "fetch/metadata_parser.hpp"

namespace restream {

std::expected<Introduction, NoIntroduction> read_introduction(const PluginReply& reply,
                                                              const FetcherSettings& settings) {
  const auto no = [&reply](std::string reason) {
    return std::unexpected(
        NoIntroduction{.lost = false, .reason = std::move(reason), .version = version_in(reply.output)});
  };
  if (reply.kind == PluginReply::Kind::retry || reply.kind == PluginReply::Kind::crashed)
    return std::unexpected(NoIntroduction{.lost = true, .reason = reply.problem, .version = {}});
  if (reply.kind == PluginReply::Kind::timed_out) return no("metadata() did not return within 2 seconds");
  if (reply.code != RESTREAM_OK)
    return no("metadata() returned code " + std::to_string(reply.code) + ": " + reply.last_line);
  auto parsed = parse_metadata(reply.output);
  if (!parsed) return no(parsed.error());
  // One name, one file: whichever else claims it is refused, in whatever order they came.
  if (parsed->name != settings.plugin)
    return no("its metadata says that its name is '" + parsed->name + "', which belongs to " + parsed->name +
              ".so alone; name the file " + parsed->name + ".so, or give it a name of its own");
  auto origin = origin_of(parsed->api_url);
  if (!origin) return no("metadata field 'api_url': " + origin.error());
  Introduction introduction;
  introduction.rules = std::make_shared<const HttpRules>(HttpRules{
      .origins = {std::move(*origin)}, .connect_to = settings.connect_to, .allow_private = settings.allow_private});
  introduction.metadata = std::make_shared<const Metadata>(std::move(*parsed));
  return introduction;
}

}  // namespace restream
