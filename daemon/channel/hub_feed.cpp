// The functions that serve threads call: each posts to core and works there.
#include <utility>

#include "channel/hub_impl.hpp"

namespace restream {

Feed Hub::feed() {
  // Every function posts; the hub's own state is touched on core only.
  const auto on_core = [weak = std::weak_ptr(impl_), loop = impl_->around.loop](auto work) {
    loop.post([weak, work = std::move(work)]() mutable {
      if (const auto self = weak.lock()) work(*self);
    });
  };
  Feed feed;
  feed.attach = [on_core](AttachRequest request, auto reply) {
    on_core([request = std::move(request), reply = std::move(reply)](Impl& hub) mutable {
      hub.attach(std::move(request), std::move(reply));
    });
  };
  feed.detach = [on_core](ServeNumber serve, ChannelNumber channel, Form form) {
    on_core([serve, channel, form](Impl& hub) { hub.detach(serve, channel, form); });
  };
  feed.resolve = [on_core](std::string fetcher, Params params, Access access, auto reply) {
    on_core([fetcher = std::move(fetcher), params = std::move(params), access = std::move(access),
             reply = std::move(reply)](Impl& hub) mutable {
      if (!may_see_fetcher(access, fetcher)) return reply(std::unexpected(not_for_this_token(fetcher)));
      hub.resolve(fetcher, params, [&hub, reply = std::move(reply)](std::expected<ChannelId, FeedError> id) {
        if (!id) return reply(std::unexpected(std::move(id.error())));
        const Channel* channel = hub.find(id->text);
        reply(Feed::Resolved{channel == nullptr ? std::nullopt : std::optional(channel->number), channel_label(*id)});
      });
    });
  };
  feed.read_events = [on_core](ChannelNumber channel, std::uint64_t after, Form form, std::size_t max_bytes,
                               auto reply) {
    on_core([=, reply = std::move(reply)](Impl& hub) mutable {
      hub.read_events(channel, after, form, max_bytes, std::move(reply));
    });
  };
  feed.read_snapshot = [on_core](ChannelNumber channel, Form form, auto reply) {
    on_core([channel, form, reply = std::move(reply)](Impl& hub) mutable {
      hub.read_snapshot(channel, form, std::move(reply));
    });
  };
  feed.get_channel = [on_core](std::string fetcher, Params params, Visitor visitor, auto reply) {
    on_core(
        [fetcher = std::move(fetcher), params = std::move(params), visitor = std::move(visitor),
         reply = std::move(reply)](Impl& hub) mutable { hub.get_channel(fetcher, params, visitor, std::move(reply)); });
  };
  feed.get_channels = [on_core](Access access, auto reply) {
    on_core([access = std::move(access), reply = std::move(reply)](Impl& hub) { reply(hub.list_channels(access)); });
  };
  feed.get_fetchers = [on_core](std::optional<std::string> fetcher, Access access, auto reply) {
    on_core([fetcher = std::move(fetcher), access = std::move(access), reply = std::move(reply)](Impl& hub) {
      reply(hub.describe_fetchers(fetcher, access));
    });
  };
  feed.get_metrics = [on_core](auto reply) {
    on_core([reply = std::move(reply)](Impl& hub) { reply(hub.hooks.metrics()); });
  };
  feed.get_readiness = [on_core](auto reply) {
    on_core([reply = std::move(reply)](Impl& hub) {
      if (const auto problem = hub.around.store.problem(); !problem.empty())
        return reply(Readiness{false, "the store cannot be written: " + problem});
      reply(hub.hooks.readiness());
    });
  };
  return feed;
}

}  // namespace restream
