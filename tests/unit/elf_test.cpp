#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "elf_extents.hpp"

namespace {

namespace fs = std::filesystem;

const fs::path plugin = fs::path(TEST_BUILD) / "tests/plugins/list.so";

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "restream-elf-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path path;
};

}  // namespace

TEST_CASE("a whole library has no problem") { CHECK(restream::host::elf_problem(plugin).empty()); }

TEST_CASE("a library that is cut at any length has one") {
  const Folder folder;
  const fs::path file = folder.path / "cut.so";
  fs::copy_file(plugin, file);
  const auto whole = fs::file_size(file);
  for (auto size = whole - 1; size > 0; size = size > 4096 ? size - 997 : size - 1) {
    fs::resize_file(file, size);
    INFO("cut at " << size << " of " << whole);
    REQUIRE_FALSE(restream::host::elf_problem(file).empty());
  }
}

TEST_CASE("text, nothing and a missing file are named as what they are") {
  const Folder folder;
  const fs::path file = folder.path / "x.so";
  CHECK(restream::host::elf_problem(file) == "it cannot be read");
  std::ofstream(file) << std::string(1000, 'x');
  CHECK(restream::host::elf_problem(file) == "it is no ELF file");
  fs::resize_file(file, 0);
  CHECK(restream::host::elf_problem(file) == "it is too short to be a shared library");
}

TEST_CASE("offsets near the end of numbers do not wrap around") {
  const Folder folder;
  const fs::path file = folder.path / "far.so";
  fs::copy_file(plugin, file);
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(32);  // e_phoff
  bytes.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  bytes.close();
  CHECK_FALSE(restream::host::elf_problem(file).empty());
}
