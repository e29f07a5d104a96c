#include "tool/project.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>
#include <vector>

#include "keys/shell_word.hpp"
#include "tool/try.hpp"

namespace restream::tool {

namespace {

namespace fs = std::filesystem;

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "restream-plugin: %s\n", message.c_str());
  return code;
}

// Where restream is installed, or its build tree.
fs::path prefix() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path(); }

// share/restream/template beside bin/, installed as in the build tree.
fs::path template_folder(const std::string& language) {
  return prefix() / "share" / "restream" / "template" / (language == "c++" ? "cpp" : language);
}

// What tells CMake where the SDK is, where it would not look.
std::string prefix_option() {
  const bool found = prefix() == "/usr" || prefix() == "/usr/local";
  return found ? "" : " " + keys::shell_word("-DCMAKE_PREFIX_PATH=" + prefix().string());
}

// What the daemon takes for a fetcher's name, and what languages can make an identifier of.
std::string name_problem(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (name.empty() || name.size() > 64 || !std::ranges::all_of(name, plain))
    return "a fetcher's name is 1 to 64 lower-case letters, digits and '-', like my-fetcher";
  if (name.front() < 'a' || name.front() > 'z' || name.back() == '-' || name.find("--") != std::string::npos)
    return "a fetcher's name begins with a letter, and '-' stands between others, like my-fetcher";
  return {};
}

std::string with_underscores(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

std::string camel_case(const std::string& name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c == '-') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return out;
}

std::string filled(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values)
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
      text.replace(at, name.size(), value);
  return text;
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw fs::filesystem_error("cannot be read", path, std::make_error_code(std::errc::io_error));
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw fs::filesystem_error("cannot be written", path, std::make_error_code(std::errc::io_error));
}

struct Planned {
  fs::path from;
  fs::path to;
};

std::vector<Planned> plan(const fs::path& from, const fs::path& to, const std::map<std::string, std::string>& values) {
  std::vector<Planned> files;
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    std::string place = filled(fs::relative(entry.path(), from).string(), values);
    if (place == "gitignore") place = ".gitignore";
    files.push_back({entry.path(), to / place});
  }
  std::ranges::sort(files, {}, &Planned::to);
  return files;
}

}  // namespace

int run_new(const ProjectOptions& options) {
  if (const std::string problem = name_problem(options.name); !problem.empty())
    return complain(exit_usage, "'" + options.name + "': " + problem);
  const fs::path from = template_folder(options.language);
  const fs::path to = options.directory.empty() ? fs::path(options.name) : options.directory;
  const std::map<std::string, std::string> values = {{"@NAME@", options.name},
                                                     {"@FILE@", with_underscores(options.name)},
                                                     {"@TYPE@", camel_case(options.name)},
                                                     {"@VERSION@", RESTREAM_VERSION}};
  try {
    if (!fs::is_directory(from))
      return complain(exit_fault, "the templates are not where they were installed: " + from.string());
    const std::vector<Planned> files = plan(from, to, values);
    for (const Planned& file : files)
      if (fs::exists(fs::symlink_status(file.to)))
        return complain(exit_usage, file.to.string() +
                                        " is there already, and nothing is overwritten: give another name, or "
                                        "another place with --directory");
    for (const Planned& file : files) {
      write(file.to, filled(read(file.from), values));
      std::printf("%s\n", file.to.c_str());
    }
  } catch (const fs::filesystem_error& error) {
    return complain(exit_fault, error.what());
  }
  std::printf(
      "\nBuild it and run its test:\n\n  cd %s\n  cmake -S . -B build%s && cmake --build build && ctest --test-dir "
      "build\n",
      keys::shell_word(to.string()).c_str(), prefix_option().c_str());
  return exit_fine;
}

}  // namespace restream::tool
