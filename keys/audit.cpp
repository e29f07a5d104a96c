#include "keys/audit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "keys/entries.hpp"
#include "keys/shell_word.hpp"

namespace restream::keys {

namespace {

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text, size};
}

}  // namespace

std::string print_audit_line(const AuditLine& line) {
  Secret json;  // not secret; the JSON writer writes there
  json.append("{\"time\":");
  append_json_string(json, rfc3339(line.time));
  json.append(",\"uid\":" + std::to_string(line.uid) + ",\"verb\":");
  append_json_string(json, line.verb);
  json.append(",\"names\":[");
  for (const std::string& name : line.names) {
    if (&name != &line.names.front()) json.push_back(',');
    append_json_string(json, name);
  }
  json.append("],\"gen\":" + (line.gen ? std::to_string(*line.gen) : "null") + ",\"result\":");
  append_json_string(json, line.result);
  json.append("}\n");
  return std::string(json.view());
}

std::expected<void, KeysError> append_audit(const std::string& keystore_path, const AuditLine& line,
                                            const Owners& owners) {
  const std::string path = keystore_path + ".audit";
  const Fd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  if (!fd) return std::unexpected(system_error("cannot write the audit file", path));
  struct stat found{};
  if (fstat(fd.get(), &found) != 0) return std::unexpected(system_error("cannot look at", path));
  const bool trusted = std::ranges::find(owners.trusted, found.st_uid) != owners.trusted.end();
  if (!S_ISREG(found.st_mode) || !trusted || (found.st_mode & 077) != 0) {
    return std::unexpected(KeysError{KeysErrorKind::permissions,
                                     "the audit file " + path + " is not a file of ours alone. Mend it: chown " +
                                         std::to_string(geteuid()) + " " + shell_word(path) + " && chmod 0600 " +
                                         shell_word(path)});
  }
  // One write, so that the lines of two commands cannot mix.
  if (!write_all(fd.get(), print_audit_line(line))) {
    return std::unexpected(system_error("cannot write the audit file", path));
  }
  return {};
}

}  // namespace restream::keys
