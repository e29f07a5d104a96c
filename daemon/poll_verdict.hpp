// What a commit's outcome means to the fetcher whose poll it was: between two rooms that do not know each other. Pure.
#pragma once

#include "channel/committer.hpp"
#include "fetch/fetcher.hpp"

namespace restream {

PollVerdict verdict_of(const PollOutcome& outcome);

}  // namespace restream
