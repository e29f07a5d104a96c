// The file of tokens: what it may say, who may read it.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/tokens.hpp"

using namespace restream;

namespace {

const std::string zeros(64, '0');
const std::string a_hash = "2CF24DBA5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";  // of "hello"

std::vector<TokenEntry> accept(const std::string& yaml) {
  auto tokens = parse_tokens(yaml, "t.yaml");
  if (!tokens) FAIL(tokens.error().where << ": " << tokens.error().message);
  return std::move(*tokens);
}

std::string refuse(const std::string& yaml) {
  const auto tokens = parse_tokens(yaml, "t.yaml");
  REQUIRE_FALSE(tokens);
  return tokens.error().where + ": " + tokens.error().message;
}

std::string expires(const std::string& time) { return "- {name: a, sha256: " + a_hash + ", expires: " + time + "}\n"; }

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a list of tokens is read with all that it says") {
  const auto tokens = accept("# who\n- name: all\n  sha256: " + a_hash + "\n- name: some\n  sha256: '" + zeros +
                             "'\n  channels: [nyt-top, \"nyt-top?section=*\"]\n  expires: 2027-01-31T12:00:00Z\n");
  REQUIRE(tokens.size() == 2);
  CHECK(tokens[0].name == "all");
  CHECK(tokens[0].sha256[0] == 0x2c);
  CHECK(tokens[0].sha256[31] == 0x24);
  CHECK(tokens[0].channels == std::vector<std::string>{"*"});
  CHECK_FALSE(tokens[0].expires);
  CHECK(tokens[1].channels == std::vector<std::string>{"nyt-top", "nyt-top?section=*"});
  REQUIRE(tokens[1].expires);
  CHECK(rfc3339(*tokens[1].expires) == "2027-01-31T12:00:00.000Z");
  CHECK(accept("").empty());
  CHECK(accept("[]").empty());
  CHECK(accept("- {name: none, sha256: " + zeros + ", channels: []}")[0].channels.empty());
}

TEST_CASE("times are RFC 3339, with a zone") {
  const auto read = [](const std::string& time) { return rfc3339(*accept(expires(time))[0].expires); };
  CHECK(read("2027-01-31T12:00:00+02:30") == "2027-01-31T09:30:00.000Z");
  CHECK(read("2027-01-31t12:00:00.999z") == "2027-01-31T12:00:00.000Z");
  CHECK(read("'2028-02-29T23:59:59-01:00'") == "2028-03-01T00:59:59.000Z");
  for (const char* bad :
       {"2027-01-31", "2027-01-31T12:00:00", "2027-02-29T12:00:00Z", "2027-13-01T12:00:00Z", "tomorrow",
        "2027-01-31T24:00:00Z", "2027-01-31T12:00:00Z!", "[]", "5", "-027-01-31T12:00:00Z"}) {
    INFO(bad);
    CHECK(mentions(refuse(expires(bad)), "t.yaml:1: token 1.expires must be a time such as 2027-01-31T12:00:00Z"));
  }
}

TEST_CASE("a token that expires in the year 9999 is good until then") {
  const WallTime expires_at = *accept(expires("9999-12-31T23:59:59Z"))[0].expires;
  CHECK(expires_at > std::chrono::sys_days(std::chrono::year(2200) / 1 / 1));
  CHECK(*accept(expires("0000-01-01T00:00:00Z"))[0].expires < std::chrono::sys_days(std::chrono::year(1970) / 1 / 2));
}

TEST_CASE("a mistake in the list is refused with its line") {
  CHECK(mentions(refuse("tokens: []\n"), "t.yaml:1: a list of tokens is expected"));
  CHECK(mentions(refuse("- {name: a, sha256: " + zeros + "}\n- {name: b}\n"), "t.yaml:2: token 2: needs 'sha256'"));
  CHECK(mentions(refuse("- {sha256: " + zeros + "}\n"), "t.yaml:1: token 1: needs 'name'"));
  CHECK(mentions(refuse("- {name: a, sha256: " + zeros + ", chanels: []}\n"), "did you mean 'channels'?"));
  CHECK(mentions(refuse("- {name: a, sha256: " + zeros + ", channels: all}\n"), "must be a list"));
  CHECK(mentions(refuse("- {name: a, sha256: " + zeros + "}\n\n- {name: a, sha256: " + a_hash + "}\n"),
                 "t.yaml:3: token 2: the name 'a' is given twice"));
  CHECK(mentions(refuse("- {name: a, sha256: " + zeros + "}\n- {name: b, sha256: " + zeros + "}\n"),
                 "are the same token"));
  CHECK(mentions(refuse("- [\n"), "t.yaml:1: is not valid YAML"));
  // What stands there may be the token itself.
  const std::string wrong = refuse("- {name: a, sha256: s3cret-token}\n");
  CHECK(mentions(wrong, "t.yaml:1: token 1.sha256: must be the SHA-256 of the token, 64 hex digits"));
  CHECK_FALSE(mentions(wrong, "s3cret"));
  CHECK(mentions(refuse("- {name: a, sha256: " + std::string(64, 'g') + "}\n"), "64 hex digits"));
}

TEST_CASE("a file of tokens that others may read or change is refused, and says what to do") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("restream-tokens-" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(file) << "- {name: a, sha256: " << zeros << "}\n";
  for (const mode_t fine : {0600U, 0640U, 0440U}) {
    ::chmod(file.c_str(), fine);
    CHECK(load_tokens(file));
  }
  for (const mode_t open : {0644U, 0604U, 0660U, 0602U, 0601U}) {
    ::chmod(file.c_str(), open);
    const auto tokens = load_tokens(file);
    REQUIRE_FALSE(tokens);
    CHECK(tokens.error().where == file.string());
    CHECK(mentions(tokens.error().message, "chmod 640 " + file.string()));
  }
  std::filesystem::remove(file);
  CHECK(mentions(load_tokens(file).error().message, "cannot be read: No such file"));
  CHECK(mentions(load_tokens("/dev/null").error().message, "not a regular file"));
}
