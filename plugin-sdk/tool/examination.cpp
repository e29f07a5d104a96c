#include "tool/examination.hpp"

#include <restream/fetcher.h>

#include <utility>

namespace restream::tool {

std::string say(const Seen& seen) {
  switch (seen.kind) {
    case Seen::Kind::items:
      return "it returned 200 with " + std::to_string(seen.sliced.items.size()) + " items";
    case Seen::Kind::failure:
      return "it returned status " + std::to_string(seen.status) + " (" + seen.text + ")";
    case Seen::Kind::refused:
      return "it returned code " + std::to_string(seen.code);
    case Seen::Kind::bad_result:
      return "what it emitted is no result: " + seen.text;
    case Seen::Kind::timed_out:
      return "it did not return by its deadline";
    case Seen::Kind::crashed:
      return "it crashed: " + seen.text;
  }
  return "";
}

Examination::Examination(SubjectOptions given) : options(std::move(given)) {}

std::expected<void, std::string> Examination::load() {
  bench_ = std::make_unique<Bench>(host_options(options));
  auto opened = open_subject(*bench_, options);
  if (!opened) return std::unexpected(opened.error());
  subject = std::move(*opened);
  return {};
}

Bench& Examination::bench() {
  if (bench_->ended()) {
    bench_ = std::make_unique<Bench>(host_options(options));
    static_cast<void>(bench_->start());  // a call on a host that did not come up is lost, which the check sees
  }
  return *bench_;
}

Seen Examination::fetch(const ChannelId& of, const Upstream& upstream, Millis timeout) {
  return fetch_text(request_for(of), upstream, timeout);
}

Seen Examination::fetch_text(const std::string& request, const Upstream& upstream, Millis timeout) {
  return see(bench().call(HostFunction::fetch, request, timeout, upstream));
}

void Examination::collect_lines(bool wait) {
  for (BenchLine& line : bench_->take_lines(wait)) {
    if (redactor.redact(line.text) != line.text) leaks.emplace_back("a line that it logs or prints");
    line.text = redactor.redact(line.text);
    lines.push_back(std::move(line));
  }
}

Seen Examination::see(BenchResult result) {
  Seen seen;
  seen.code = result.code;
  collect_lines(false);
  if (redactor.redact(result.output) != result.output) leaks.emplace_back("its result");
  asked.insert(asked.end(), result.asked.begin(), result.asked.end());
  if (result.kind == CallResult::Kind::timed_out) {
    seen.kind = Seen::Kind::timed_out;
    bench_->wait_for_end();
  } else if (!result.returned()) {
    seen.kind = Seen::Kind::crashed;
    seen.text = redactor.redact(end_text(bench_->wait_for_end()));
  } else if (result.code != RESTREAM_OK) {
    seen.kind = Seen::Kind::refused;
  } else if (auto sliced = slice_result(result.output, rules()); !sliced) {
    seen.kind = Seen::Kind::bad_result;
    seen.text = sliced.error().message;
  } else {
    seen.kind = sliced->status_code == 200 ? Seen::Kind::items : Seen::Kind::failure;
    seen.status = sliced->status_code;
    seen.text = redactor.redact(sliced->text);
    seen.sliced = std::move(*sliced);
  }
  seen.result = std::move(result);
  return seen;
}

std::string Examination::request_for(const ChannelId& of) const { return request_for(of, keys); }

std::string Examination::request_for(const ChannelId& of, const KeyValues& other_keys) const {
  return fetch_request(options, of, other_keys);
}

DiffRules Examination::rules() const {
  return {.id_field = subject.metadata.id_field,
          .ignore = subject.metadata.ignore,
          .unordered = subject.metadata.unordered};
}

std::optional<ChannelId> Examination::channel_of(Params params) const {
  auto made = canonical_channel(subject.metadata.name, subject.metadata.params, std::move(params));
  if (!made) return std::nullopt;
  return std::move(*made);
}

Upstream always(int status, std::string body, std::string content_type) {
  return [status, body = std::move(body), type = std::move(content_type)](const HostHttpRequest&, const Reply& reply) {
    reply({.code = RESTREAM_OK, .status = status, .headers = {{"content-type", type}}, .body = body, .error = {}});
  };
}

Upstream always_problem(std::int32_t code, std::string error) {
  return [code, error = std::move(error)](const HostHttpRequest&, const Reply& reply) {
    reply({.code = code, .status = 0, .headers = {}, .body = {}, .error = error});
  };
}

Upstream silent() {
  return [](const HostHttpRequest&, const Reply&) {};
}

}  // namespace restream::tool
