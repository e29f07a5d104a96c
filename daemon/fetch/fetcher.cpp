#include "fetch/fetcher.hpp"

#include "fetch/fetcher_impl.hpp"

namespace restream {

Fetcher::Impl::Impl(FetcherSettings given, Clock c, CoreLoop l, Random r, Log lg, FetcherHooks h)
    : settings(std::move(given)),
      clock(std::move(c)),
      loop(std::move(l)),
      random(std::move(r)),
      log(std::move(lg)),
      hooks(std::move(h)),
      quota(hooks.join_quota ? hooks.join_quota() : nullptr) {}

Fetcher::Fetcher(FetcherSettings settings, Clock clock, CoreLoop loop, Random random, Log log, FetcherHooks hooks)
    : impl_(std::make_shared<Impl>(std::move(settings), std::move(clock), std::move(loop), std::move(random),
                                   std::move(log), std::move(hooks))) {
  if (!impl_->settings.enabled) impl_->is_settled = true;
}
Fetcher::~Fetcher() = default;
void Fetcher::ask(const std::function<void(PluginCall)>& call,
                  std::function<void(std::expected<Introduction, NoIntroduction>)> done) const {
  impl_->ask(call, std::move(done));
}
void Fetcher::reconfigure(FetcherSettings settings) { impl_->reconfigure(std::move(settings)); }
bool Fetcher::is_newcomer() const { return impl_->newcomer; }
std::uint64_t Fetcher::settings_number() const { return impl_->settings_number; }
void Fetcher::dismiss() {
  impl_->dismissed = true;
  impl_->next_settings.reset();
  impl_->newcomer = false;
  impl_->end_all(Reason::removed, "the configuration has no fetcher of this name any more");
}
void Fetcher::adopt(Introduction introduction) { impl_->adopt(std::move(introduction)); }
void Fetcher::refuse(const std::string& reason) { impl_->refuse(reason); }
bool Fetcher::works() const { return impl_->metadata && impl_->ended == Reason::none; }
bool Fetcher::enabled() const { return impl_->settings.enabled; }
void Fetcher::plugin_changed(PluginState state, const std::string& problem) { impl_->plugin_changed(state, problem); }
void Fetcher::set_keys(FetcherKeys keys) {
  const bool changed = impl_->keys != keys;
  impl_->keys = std::move(keys);
  impl_->set_quota_terms();
  if (!impl_->metadata) return;
  if (changed) impl_->retry_unauthorized();
  impl_->resume_waiting();
}
bool Fetcher::settled() const { return impl_->is_settled; }
std::expected<ChannelId, Refusal> Fetcher::resolve(Params given) const { return impl_->resolve(std::move(given)); }
void Fetcher::want(const ChannelId& channel, const Schedule& known, bool waits) { impl_->want(channel, known, waits); }
void Fetcher::unwant(const std::string& channel) { impl_->unwant(channel); }
std::expected<std::string, std::string> Fetcher::poll_soon(const std::string& channel) {
  return impl_->poll_soon(channel);
}
void Fetcher::set_subscribers(const std::string& channel, std::size_t count) {
  if (impl_->quota) impl_->quota->set_subscribers(channel, count);
  if (count > 1) impl_->serve(channel);
}
void Fetcher::finished(const std::string& channel, const Schedule& schedule, const PollVerdict& verdict) {
  impl_->finished(channel, schedule, verdict);
}
std::string Fetcher::describe(std::uint64_t restarts, const std::string& last_error) const {
  return impl_->describe(restarts, last_error);
}
std::string Fetcher::status_item(std::uint64_t restarts, const std::string& last_error) const {
  return impl_->status_item(restarts, last_error);
}
const Fetcher::Counts& Fetcher::counts() const { return impl_->counts; }
std::optional<QuotaView> Fetcher::quota() const {
  if (!impl_->quota || !impl_->metadata) return std::nullopt;
  return impl_->quota->view();
}
std::string Fetcher::missing_key() const {
  const std::string missing = impl_->metadata ? impl_->missing_keys() : "";
  return missing.substr(0, missing.find(','));
}
std::size_t Fetcher::channels() const { return impl_->polls.size(); }
std::shared_ptr<const Metadata> Fetcher::metadata() const { return impl_->metadata; }

}  // namespace restream
