#include "model/status.hpp"

namespace restream {

std::string_view text(State state) {
  switch (state) {
    case State::pending:
      return "pending";
    case State::live:
      return "live";
    case State::limited:
      return "limited";
    case State::failing:
      return "failing";
    case State::needs_key:
      return "needs_key";
    case State::unavailable:
      return "unavailable";
  }
  return "";
}

std::string_view text(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "";
    case Reason::rate_limited:
      return "rate_limited";
    case Reason::quota:
      return "quota";
    case Reason::unauthorized:
      return "unauthorized";
    case Reason::upstream_error:
      return "upstream_error";
    case Reason::unreachable:
      return "unreachable";
    case Reason::timeout:
      return "timeout";
    case Reason::bad_result:
      return "bad_result";
    case Reason::plugin_crashed:
      return "plugin_crashed";
    case Reason::plugin_timeout:
      return "plugin_timeout";
    case Reason::missing_key:
      return "missing_key";
    case Reason::removed:
      return "removed";
    case Reason::refused:
      return "refused";
    case Reason::held:
      return "held";
    case Reason::disabled:
      return "disabled";
  }
  return "";
}

}  // namespace restream
