#include "elf_extents.hpp"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

namespace restream::host {
namespace {

// `count` structures at `offset`. Empty when they do not lie within the file.
template <class Entry>
std::vector<Entry> read_table(std::ifstream& file, std::uint64_t file_size, std::uint64_t offset, std::size_t count) {
  const std::uint64_t bytes = count * sizeof(Entry);
  if (offset > file_size || bytes > file_size - offset) return {};
  std::vector<Entry> table(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(table.data()), static_cast<std::streamsize>(bytes));
  if (!file) return {};
  return table;
}

bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size) {
  return offset <= file_size && size <= file_size - offset;
}

}  // namespace

std::string elf_problem(const std::filesystem::path& path) {
  static const std::string cut =
      "the file is cut short: what its ELF headers promise is not there (still being copied?)";
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return "it cannot be read";
  const auto headers = read_table<Elf64_Ehdr>(file, size, 0, 1);
  if (headers.empty()) return "it is too short to be a shared library";
  const Elf64_Ehdr& header = headers.front();
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "it is no ELF file";
  // Another architecture's headers are the dynamic linker's to refuse, in its own words.
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return "";
  const auto segments = read_table<Elf64_Phdr>(file, size, header.e_phoff, header.e_phnum);
  if (segments.size() != header.e_phnum) return cut;
  for (const Elf64_Phdr& segment : segments)
    if (!fits(segment.p_offset, segment.p_filesz, size)) return cut;
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return "";
  const auto sections = read_table<Elf64_Shdr>(file, size, header.e_shoff, header.e_shnum);
  if (sections.size() != header.e_shnum) return cut;
  for (const Elf64_Shdr& section : sections)
    if (section.sh_type != SHT_NOBITS && !fits(section.sh_offset, section.sh_size, size)) return cut;
  return "";
}

}  // namespace restream::host
