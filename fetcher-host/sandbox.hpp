// Gives up what a host does not need, before any byte of the plugin is mapped.
#pragma once

namespace restream::host {

// Throws std::system_error.
void enter_sandbox();

}  // namespace restream::host
