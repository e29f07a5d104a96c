#include "poll_verdict.hpp"

namespace restream {

PollVerdict verdict_of(const PollOutcome& outcome) {
  const auto kind = [&] {
    switch (outcome.kind) {
      case PollOutcome::Kind::committed:
        return PollVerdict::Kind::committed;
      case PollOutcome::Kind::api_error:
        return PollVerdict::Kind::api_error;
      case PollOutcome::Kind::bad_result:
        return PollVerdict::Kind::bad_result;
      case PollOutcome::Kind::store_failed:
        break;
    }
    return PollVerdict::Kind::store_failed;
  }();
  return {.kind = kind,
          .status = outcome.status,
          .problem = outcome.problem,
          .changed = outcome.events && !outcome.events->events.empty(),
          .skipped = outcome.skipped,
          .repeated = outcome.repeated};
}

}  // namespace restream
