// Copies the state beside the running daemon: what `restreamctl backup` does.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <string>

#include "channel/store_thread.hpp"

namespace restream {

// Makes `state`/backup, a state directory that a restreamd can be started with: the store as of the end of the copying,
// and the small files that belong to it. What was there before stays until the new copy is whole. Commits go on
// meanwhile. Runs on: core; `done` runs on the store thread and hears a sentence, or why there is no backup. When the
// daemon stops before that, `done` is not called.
void back_up(StoreThread& store, const std::filesystem::path& state,
             std::move_only_function<void(std::expected<std::string, std::string>)> done);

}  // namespace restream
