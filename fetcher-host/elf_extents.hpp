// Whether an ELF file is whole: the dynamic linker maps what the headers promise and dies of SIGBUS where a half-copied
// file has nothing behind it. Reads the file; loads nothing.
#pragma once

#include <filesystem>
#include <string>

namespace restream::host {

// Empty when every segment and section lies within the file; otherwise a sentence.
std::string elf_problem(const std::filesystem::path& path);

}  // namespace restream::host
