// The log: one line per event whatever is logged, and no secret in it.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "ops/log.hpp"

using namespace restream;

namespace {

struct Lines {
  std::vector<std::pair<LogLevel, std::string>> all;
  Log log(LogLevel least = LogLevel::debug) {
    return Log([this](LogLevel level, const std::string& line) { all.emplace_back(level, line); }, least);
  }
};

std::string logged(const std::string& value) {
  Lines lines;
  lines.log().info("m", {{"f", value}});
  return lines.all.at(0).second.substr(8);  // after `msg="m" `
}

// What to_standard_error() writes into a file that stands in for standard error.
std::string written(bool as_journal) {
  std::string name = (std::filesystem::temp_directory_path() / "restream-log-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  REQUIRE(file >= 0);
  const int before = ::dup(2);
  ::dup2(file, 2);
  struct stat status{};
  ::fstat(file, &status);
  const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  ::setenv("JOURNAL_STREAM", as_journal ? stream.c_str() : "1:2", 1);
  {
    const Log log = Log::to_standard_error(LogLevel::debug);
    log.debug("one");
    log.info("two", {{"a", "b c"}});
    log.warning("three {} %v");
    log.error("four");
  }
  ::dup2(before, 2);
  ::close(before);
  ::close(file);
  ::unsetenv("JOURNAL_STREAM");
  std::ostringstream text;
  text << std::ifstream(name).rdbuf();
  std::filesystem::remove(name);
  return text.str();
}

std::string base64(const std::string& text, bool url = false) {
  const std::string letters =
      std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") + (url ? "-_" : "+/");
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8U) | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k > text.size() ? '=' : letters[(group >> (18 - 6 * k)) & 63U];
  }
  return out;
}

}  // namespace

TEST_CASE("a line is logfmt: plain values bare, others quoted") {
  Lines lines;
  const Log log = lines.log();
  log.info("polled a channel",
           {{"channel", "nyt-top?section=home"}, {"items", "12"}, {"note", "all fine"}, {"none", ""}});
  REQUIRE(lines.all.size() == 1);
  CHECK(lines.all[0].first == LogLevel::info);
  CHECK(lines.all[0].second ==
        R"(msg="polled a channel" channel="nyt-top?section=home" items=12 note="all fine" none="")");
  CHECK(logged("/var/lib/restream") == "f=/var/lib/restream");
  CHECK(logged("a\"b\\c") == R"(f="a\"b\\c")");
}

TEST_CASE("no value can begin a new line, move the cursor or pass for another field") {
  CHECK(logged("one\ntwo\r\n\tthree level=error") == R"(f="one\ntwo\r\n\tthree level=error")");
  CHECK(logged("\x1b[2J\x07\x7f") == R"(f="\x1b[2J\x07\x7f")");
  CHECK(logged(std::string("a\0b", 3)) == R"(f="a\x00b")");
  CHECK(logged("Zoë → 日本 😀") == "f=\"Zoë → 日本 😀\"");
  CHECK(logged("\xff\xc3") == R"(f="\xff\xc3")");
  CHECK(logged("\xc2\x9b") == R"(f="\xc2\x9b")");
  CHECK(logged("\xe2\x82") == R"(f="\xe2\x82")");
  Lines lines;
  lines.log().info("a\nb\"");
  CHECK(lines.all.at(0).second == R"(msg="a\nb\"")");
}

TEST_CASE("a flood in one value is cut") {
  const std::string line = logged(std::string(1U << 20U, 'x'));
  CHECK(line.size() < 9000);
  CHECK_THAT(line, Catch::EndsWith("x [cut]\""));
}

TEST_CASE("lines below the least level are dropped") {
  Lines lines;
  const Log log = lines.log(LogLevel::warning);
  log.debug("a");
  log.info("b");
  log.warning("c");
  log.error("d");
  REQUIRE(lines.all.size() == 2);
  CHECK(lines.all[0] == std::pair(LogLevel::warning, std::string("msg=\"c\"")));
  CHECK(lines.all[1] == std::pair(LogLevel::error, std::string("msg=\"d\"")));
  Log::none().error("nobody reads this");
}

TEST_CASE("standard error gets a time and a level, journald its own prefix") {
  std::istringstream plain(written(false));
  std::string line;
  for (const std::string rest : {"level=debug msg=\"one\"", "level=info msg=\"two\" a=\"b c\"",
                                 "level=warning msg=\"three {} %v\"", "level=error msg=\"four\""}) {
    REQUIRE(std::getline(plain, line));
    CHECK_THAT(line, Catch::Matches("time=\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z .*"));
    CHECK(line.substr(30) == rest);
  }
  CHECK_FALSE(std::getline(plain, line));
  CHECK(written(true) == "<7>msg=\"one\"\n<6>msg=\"two\" a=\"b c\"\n<4>msg=\"three {} %v\"\n<3>msg=\"four\"\n");
}

TEST_CASE("secrets are redacted in messages, fields and what is handed out") {
  Lines lines;
  const Log log = lines.log();
  log.set_secrets({"hunter2-hunter2", "short", "with \"quote\"\\and/slash", "pässwörd+ =&%"});
  log.info("key hunter2-hunter2 seen",
           {{"url", "https://a/?k=hunter2-hunter2&x=1"}, {"j", "{\"v\":\"with \\\"quote\\\"\\\\and\\/slash\"}"}});
  CHECK(lines.all.at(0).second ==
        R"(msg="key [redacted] seen" url="https://a/?k=[redacted]&x=1" j="{\"v\":\"[redacted]\"}")");
  CHECK(log.redact("hunter2-hunter2hunter2-hunter2") == "[redacted][redacted]");
  CHECK(log.redact("with \"quote\"\\and/slash") == "[redacted]");
  CHECK(log.redact("short hunter2") == "short hunter2");
  CHECK(log.redact("").empty());
  for (const std::string encoded :
       {"p%C3%A4ssw%C3%B6rd%2B%20%3D%26%25", "p%c3%a4ssw%c3%b6rd%2b%20%3d%26%25", "p%C3%A4ssw%C3%B6rd%2B+%3D%26%25",
        "pässwörd+ =&%25", "p%25C3%25A4ssw%25C3%25B6rd%252B%2520%253D%2526%2525",
        "%70%C3%A4ssw%C3%B6rd%2B%20%3D%26%25"}) {
    INFO(encoded);
    CHECK(log.redact("a=" + encoded + "&b") == "a=[redacted]&b");
  }
  log.set_secrets({});
  CHECK(log.redact("hunter2-hunter2") == "hunter2-hunter2");
}

TEST_CASE("a secret is redacted in base64 wherever it stands in what was encoded") {
  const Log log = Log::none();
  for (const std::string secret : {"8letters", "9-letters", "ten-letter", "\xff\xfe\xfb\xef\xbe\xff\xff\xff?!>>"}) {
    log.set_secrets({secret});
    for (const bool url : {false, true}) {
      for (const std::string before : {"", "u", "us", "use", "user:"}) {
        for (const std::string after : {"", "a", "ab", "abc"}) {
          const std::string whole = base64(before + secret + after, url);
          const std::string clean = log.redact("Authorization: Basic " + whole);
          INFO(secret << " " << before << " " << after << " " << whole << " -> " << clean);
          CHECK_THAT(clean, Catch::Contains("[redacted]"));
          // At most what belongs to the neighbours is left: no letter that holds a bit of the secret.
          const std::string left = clean.substr(std::string("Authorization: Basic ").size());
          CHECK(left.find("[redacted]") <= before.size() * 8 / 6);
          const std::size_t tail = left.size() - left.find("[redacted]") - 10;
          const std::size_t letters = (after.size() * 8 + 5) / 6 + 2;
          CHECK(tail <= letters);
        }
      }
    }
  }
}

TEST_CASE("the longer of two secrets that begin alike is redacted whole") {
  const Log log = Log::none();
  log.set_secrets({"abcdefgh", "abcdefgh-and-more"});
  CHECK(log.redact("x abcdefgh-and-more y abcdefgh z") == "x [redacted] y [redacted] z");
  log.set_secrets({"abcdefgh-and-more", "abcdefgh"});
  CHECK(log.redact("x abcdefgh-and-more y abcdefgh z") == "x [redacted] y [redacted] z");
}

TEST_CASE("a secret is redacted with its signs as JSON's numbers, as many an API writes them") {
  const Log log = Log::none();
  log.set_secrets({"Zm9vYmFyYmF6cXV4==", "<a&b='c'>"});
  CHECK(log.redact(R"({"error":"bad key Zm9vYmFyYmF6cXV4\u003d\u003d"})") == R"({"error":"bad key [redacted]"})");
  CHECK(log.redact(R"(x \u003ca\u0026b\u003D\u0027c\u0027\u003E y)") == "x [redacted] y");
  CHECK(log.redact(R"(x \u003ca\u0026b\u003D\u0027c\u0027\u00)") == "x [redacted]");
  CHECK(log.redact(R"(x \u003ca\u0026b\u003D y)") == R"(x \u003ca\u0026b\u003D y)");
}

TEST_CASE("a secret of several lines is redacted line by line, too, however their ends were written") {
  const Log log = Log::none();
  log.set_secrets({"-----BEGIN KEY-----\nMIIEvQIBADANBgkq\r\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"});
  CHECK(log.redact("MIIEvQIBADANBgkq") == "[redacted]");
  for (const std::string end : {"\n", " ", "\\n", "\\r\\n", "  "}) {
    const std::string clean = log.redact("a MIIEvQIBADANBgkq" + end + "hkiG9w0BAQEFAASC" + end + "b");
    INFO(clean);
    CHECK(clean == "a [redacted]" + end + "[redacted]" + end + "b");
  }
  log.set_secrets({"two\nlines"});
  CHECK(log.redact("two\nlines, or two lines") == "[redacted], or two lines");
}

TEST_CASE("the beginning of a secret is redacted where a text was cut in the middle of it") {
  const Log log = Log::none();
  const std::string secret = "pässwörd+ =&?-and-more";
  const std::string encoded = "p%C3%A4ssw%C3%B6rd%2B%20%3D%26%3F-and-more";
  log.set_secrets({secret});
  for (const std::string& form : {secret, encoded, base64(secret, false)}) {
    for (std::size_t size = form == encoded ? 23 : 12; size <= form.size(); ++size) {
      INFO(form.substr(0, size));
      CHECK(log.redact("key=" + form.substr(0, size)) == "key=[redacted]");
    }
  }
  CHECK(log.redact("päss") == "päss");
  CHECK(log.redact("pässwörd+ and more") == "pässwörd+ and more");
}

TEST_CASE("many threads log whole lines while the secrets change") {
  Lines lines;
  const Log log = lines.log();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&log] {
      for (int i = 0; i < 500; ++i) log.info("topsecret1 here", {{"i", std::to_string(i)}});
    });
  for (int i = 0; i < 100; ++i) log.set_secrets({"topsecret1", "other-secret"});
  for (std::thread& thread : threads) thread.join();
  CHECK(lines.all.size() == 2000);
  log.info("topsecret1");
  CHECK(lines.all.back().second == "msg=\"[redacted]\"");
}
