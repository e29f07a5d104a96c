// A fetcher: what the daemon knows of one name under `fetchers` (or of one plugin file that the configuration does not
// mention): its metadata, its keys, and the polls of its channels. A state machine: everything it does to the world
// goes through FetcherHooks, so that tests move its time. Runs on: core.
//
// One poll of a channel:  due -> calling the plugin -> result handed to `polled` -> finished() with what the commit
// said.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/adaptive.hpp"
#include "fetch/introduction.hpp"
#include "fetch/plugin.hpp"
#include "fetch/quota_book.hpp"
#include "http/http_client.hpp"
#include "model/channel_id.hpp"
#include "model/key_values.hpp"
#include "model/metadata.hpp"
#include "model/schedule.hpp"
#include "model/status.hpp"
#include "ops/core_loop.hpp"
#include "ops/log.hpp"
#include "ops/metrics.hpp"

namespace restream {

// From the configuration.
struct FetcherSettings {
  std::string name;
  std::string plugin;
  std::string config = "{}";  // JSON text
  bool enabled = true;
  std::optional<Millis> poll_interval;
  bool force_interval = false;
  std::optional<AdaptiveRange> adaptive;
  std::string connect_to;  // config `origin`
  bool allow_private = false;
  Millis call_timeout{30000};
  std::optional<QuotaLimit> quota;  // instead of the metadata's
  bool operator==(const FetcherSettings&) const = default;
};

// A good answer of the plugin, to be committed.
struct Polled {
  std::string poll;  // its name in the log
  ChannelId channel;
  std::shared_ptr<const Metadata> metadata;
  std::string result;  // what fetch() emitted
  Schedule schedule;   // as it will be when the commit succeeds
};

// What the commit said of it.
struct PollVerdict {
  enum class Kind : std::uint8_t { committed, bad_result, api_error, store_failed };
  Kind kind{};
  int status = 0;        // of the API, for api_error
  std::string problem;   // a sentence, for all but committed
  bool changed = false;  // something was told to subscribers
  // Of a committed one: items left out because they have no id, and those whose id came again later.
  std::size_t skipped = 0;
  std::size_t repeated = 0;
};

// An `error` for a subscriber: code and sentence.
struct Refusal {
  std::string code;
  std::string message;
};

struct FetcherHooks {
  std::function<std::string()>
      name_poll;                         // another name for each, by which its lines in the log are found; may be null
  std::function<void(PluginCall)> call;  // into the plugin
  // Nobody waits for the call of this poll any more; false when there is none. May be null.
  std::function<bool(const std::string& poll)> cancel;
  std::function<void(Polled)> polled;                                            // commit this, then finished()
  std::function<void(const ChannelId&, const Status&, bool transition)> status;  // `transition`: tell subscribers
  std::function<void(const ChannelId&, const Schedule&)> keep;                   // a schedule changed without a commit
  std::function<void(const ChannelId&)> idle;                                    // no longer polled, nothing under way
  std::function<void()> settled;                                                 // resolve() now knows
  // Null: nothing is counted. Otherwise a member of the quota book for each fetcher, and the name of a credential.
  std::function<std::shared_ptr<QuotaMember>()> join_quota;
  std::function<std::string(const std::string& secret)> name_credential;
  // The command that sets a key of a fetcher, as people are told it.
  std::function<std::string(const std::string& fetcher, const std::string& key)> set_key =
      [](const std::string& fetcher, const std::string& key) { return "restream-keys set " + fetcher + " " + key; };
};

class Fetcher {
 public:
  Fetcher(FetcherSettings settings, Clock clock, CoreLoop loop, Random random, Log log, FetcherHooks hooks);
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // Asks a version of the plugin, by way of `call`, for its metadata as this fetcher would. Changes nothing.
  void ask(const std::function<void(PluginCall)>& call,
           std::function<void(std::expected<Introduction, NoIntroduction>)> done) const;
  // That version serves from now on. Channels whose params it does not take end; all others go on, or begin again.
  void adopt(Introduction introduction);
  // The version that serves is no good for this fetcher.
  void refuse(const std::string& reason);
  // Other settings. They count once a version of the plugin has introduced itself under them; where it refuses, those
  // before them go on. A change of `enabled` or of the plugin counts at once.
  void reconfigure(FetcherSettings settings);
  // No version has been asked yet to introduce itself under the settings there are.
  [[nodiscard]] bool is_newcomer() const;
  // Another one for each settings that it was given.
  [[nodiscard]] std::uint64_t settings_number() const;
  // The configuration has it no more: its channels end, as when its plugin is removed, until it is reconfigured.
  void dismiss();

  // It knows its metadata, and nothing has ended it.
  [[nodiscard]] bool works() const;
  [[nodiscard]] bool enabled() const;

  // The plugin's state, after every change of it; `ready` once it was adopted. `problem` is a sentence.
  void plugin_changed(PluginState state, const std::string& problem);

  // All key values that the keystore holds for this fetcher. Channels that waited for a key are polled; where a
  // value changed, so are those that failed as unauthorized, an interval after their last poll at the earliest.
  void set_keys(FetcherKeys keys);

  // False while it is not yet known whether this fetcher works: ask again after hooks.settled.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::expected<ChannelId, Refusal> resolve(Params given) const;

  // Somebody wants the channel / nobody does any more. `known` is what the store remembers of it. Where nobody waits
  // for it, because it is pinned, its first poll need not come at once.
  void want(const ChannelId& channel, const Schedule& known, bool waits = true);
  void unwant(const std::string& channel);
  // How many want it, the configuration that pins it among them.
  void set_subscribers(const std::string& channel, std::size_t count);

  // Polls a channel now that is polled anyway, whatever its next time is, but not against the API's own wish or beyond
  // its quota; then nothing changes. What comes of it, or why nothing does, as a sentence.
  [[nodiscard]] std::expected<std::string, std::string> poll_soon(const std::string& channel);

  // `schedule` is that of the Polled it answers.
  void finished(const std::string& channel, const Schedule& schedule, const PollVerdict& verdict);

  // One entry of GET /fetchers without the closing parts that others know: metadata, keys, quota, channels. JSON text.
  [[nodiscard]] std::string describe(std::uint64_t restarts, const std::string& last_error) const;
  // The same as an item of the built-in channel: without what moves with each call.
  [[nodiscard]] std::string status_item(std::uint64_t restarts, const std::string& last_error) const;
  [[nodiscard]] std::shared_ptr<const Metadata> metadata() const;  // null until known
  // Polls since the start, by how they ended: `none` is a good one.
  struct Counts {
    std::map<Reason, std::uint64_t> polls;
    DurationHistogram seconds;  // from the call to the plugin to what came back
    std::uint64_t skipped = 0;  // items without an id, in each poll anew
    std::uint64_t repeated = 0;
  };
  [[nodiscard]] const Counts& counts() const;
  [[nodiscard]] std::optional<QuotaView> quota() const;  // nothing where nothing is counted
  [[nodiscard]] std::string missing_key() const;         // the first declared key without a value; or empty
  [[nodiscard]] std::size_t channels() const;            // that are polled or lingering

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
