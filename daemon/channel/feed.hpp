// The border between core and the serve threads: what a serve thread may ask of core, and what core tells it.
//
// Everything is an immutable value. A serve thread calls Feed's functions from its own thread; they post to core.
// Announcements and the replies of attach() and resolve() are called on core, in the order core handled things; the
// serve thread wraps them so that they post to itself. One queue in, one queue out: so a reply to attach() and the
// announcements after it have no gap and no overlap between them. All other replies may come on any thread.
//
// How a subscriber stays whole: attach() answers with the channel's head. The serve thread remembers that head for the
// channel and moves it on with every announced batch (which says after which offset it starts). A subscription has a
// cursor, the offset up to which it was sent. A batch that starts at the cursor is sent straight away; one that ends at
// or before the cursor is skipped; anything else means that the subscription is behind: it then reads from the log
// (read_events) until its cursor is at the head the serve thread knows. A slow reader, a resume and a gap are one case.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channel/access.hpp"
#include "channel/frame.hpp"
#include "model/channel_id.hpp"
#include "model/filter.hpp"
#include "model/position.hpp"

namespace restream {

// Names a channel while the daemon runs; never used twice.
using ChannelNumber = std::uint32_t;

// Core to a serve thread: the events of one poll, encoded for each form that somebody used when that began. Others are
// null, and those who take one of them read the log.
struct Announcement {
  ChannelNumber channel = 0;
  std::uint64_t after = 0;  // the batch holds offsets after+1 … last
  std::uint64_t last = 0;
  std::array<Frames, forms> frames;  // without a filter; by Form::index()

  // As those with a filter are told of it: maybe of nothing, in which case the frames in use are empty, but not null.
  struct Filtered {
    FilterNumber filter = 0;
    std::uint64_t told = 0;  // events
    std::array<Frames, forms> frames;
  };
  std::vector<Filtered> filtered;  // by number

  [[nodiscard]] const Filtered* find(FilterNumber filter) const {
    const auto at = std::ranges::lower_bound(filtered, filter, {}, &Filtered::filter);
    return at != filtered.end() && at->filter == filter ? &*at : nullptr;
  }
};

// Core to a serve thread: the channel's status changed. In stream order with announcements.
struct StatusAnnouncement {
  ChannelNumber channel = 0;
  std::array<Frames, framings> frames;
};

// What a serve thread registers with core. Both functions are called on core and must only post.
struct ServeThread {
  std::function<void(std::shared_ptr<const Announcement>)> announce;
  std::function<void(StatusAnnouncement)> announce_status;
};
using ServeNumber = std::uint32_t;

struct AttachRequest {
  ServeNumber serve = 0;
  std::string fetcher;
  Params params;      // as given
  std::string since;  // as given; empty: none
  Form form;
  std::shared_ptr<const Filter> filter = nullptr;  // null: none
  Visitor visitor;
};

struct Attached {
  ChannelNumber channel = 0;
  Form form;  // what was asked for, with the filter's number: what to read with, and to detach with
  std::shared_ptr<const std::string> label;  // channel_label()
  Position head;
  bool resumed = false;
  std::uint64_t cursor = 0;  // when resumed: the offset of `since`
  Frames status;             // in the framing that was asked for; null when live
};

// An `error` message: code and sentence.
struct FeedError {
  std::string code;
  std::string message;
};

// The events after a cursor, framed. `last` is the offset of the newest that was looked at; at the cursor when there
// are none yet. Null when there is nothing to tell, which with a filter may be so for any number of events.
struct HistoryChunk {
  Frames frames;
  std::uint64_t last = 0;
  std::uint64_t told = 0;  // events in the frames
};
// `gone`: they have left the log. `failed`: the store could not be read; the message says why.
struct HistoryProblem {
  bool gone = false;
  std::string message;
};

struct SnapshotChunk {
  Frames frames;  // one snapshot message
  std::uint64_t offset = 0;
};

// The answer to an HTTP request for JSON.
struct Document {
  int status = 200;
  std::string json;
  std::string etag;  // with its quotes; empty: none
};

struct Readiness {
  bool ready = false;
  std::string reason;
};

struct Feed {
  // Holds until detach() with the same values. Refused with `unauthorized` where the visitor may not see the channel. A
  // channel that this brings to life counts against the limit of the visitor's address until it has gone.
  std::function<void(AttachRequest, std::function<void(std::expected<Attached, FeedError>)>)> attach;
  std::function<void(ServeNumber, ChannelNumber, Form)> detach;
  // Which channel these params mean, without making it: `unsubscribe` needs no more than the number. The channel's
  // label comes back too. Nothing when it does not exist now. Refused as in attach(), so that nobody hears of params of
  // fetchers that are not for them.
  struct Resolved {
    std::optional<ChannelNumber> channel;
    std::string label;
  };
  std::function<void(std::string fetcher, Params, Access, std::function<void(std::expected<Resolved, FeedError>)>)>
      resolve;

  std::function<void(ChannelNumber, std::uint64_t after, Form, std::size_t max_bytes,
                     std::function<void(std::expected<HistoryChunk, HistoryProblem>)>)>
      read_events;
  std::function<void(ChannelNumber, Form, std::function<void(std::expected<SnapshotChunk, HistoryProblem>)>)>
      read_snapshot;

  // GET. `channel` is demand: it waits up to 10 s for a first poll. All who ask for the same get the same document.
  std::function<void(std::string fetcher, Params, Visitor, std::function<void(std::shared_ptr<const Document>)>)>
      get_channel;
  std::function<void(Access, std::function<void(Document)>)> get_channels;
  std::function<void(std::optional<std::string> fetcher, Access, std::function<void(Document)>)> get_fetchers;
  std::function<void(std::function<void(Readiness)>)> get_readiness;
  // Prometheus text.
  std::function<void(std::function<void(std::string)>)> get_metrics;
};

}  // namespace restream
