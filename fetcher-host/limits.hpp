// Resource limits of the host process, and with it of the plugin.
#pragma once

#include <cstdint>

namespace restream::host {

// `memory`: bytes of data (heap, thread stacks, writable mappings). Throws std::system_error.
void set_limits(std::uint64_t memory);

// Whether a few megabytes are more than is left of it.
bool out_of_memory();

}  // namespace restream::host
