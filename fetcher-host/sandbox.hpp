// Gives up what a host does not need, before any byte of the plugin is mapped. Runs on: main, while it is alone.
//
// Three parts, each a file: the process (this one), files and network by Landlock (sandbox_files.cpp), system calls by
// seccomp (sandbox_calls.cpp). Each of the latter two says what is missing in a sentence, and nothing when it holds.
#pragma once

#include <string>
#include <vector>

#include "wire/wire.hpp"

namespace restream::host {

// What could not be had. Throws std::runtime_error when the mode is `required` and something could not; and
// std::system_error for what every kernel has. With `off`, no Landlock and no seccomp.
std::vector<std::string> enter_sandbox(wire::Sandbox mode);

// From here on this process and its threads may read system libraries and no other file, and use no network.
std::string confine_files();

// From here on this process may make few system calls; the others say that the kernel does not know them.
std::string filter_calls();

}  // namespace restream::host
