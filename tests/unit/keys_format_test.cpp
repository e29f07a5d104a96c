// The file format: every bit and every length counts.
#include <algorithm>
#include <array>
#include <regex>
#include <string>

#include "keys_support.hpp"

namespace keys_test {

namespace {

constexpr const char* kJson = R"({"nyt-top":{"api-key":"0123456789abcdef"}})";
constexpr const char* kWrongKey = "wrong master key, or the header was altered";
constexpr const char* kDamaged = "the keystore is damaged";

// Says independently of the parser what an altered file must be called.
class Judge {
 public:
  explicit Judge(const std::string& file) : original_(file), header_size_(file.find("---\n") + 4) {}

  std::string expected(const std::string& file) const {
    const std::string header = file.substr(0, header_size_);
    if (!std::regex_match(header, layout_)) return kDamaged;
    if (file.size() != original_.size()) return kDamaged;
    // Up to the end of the `wrap` line, the data key is bound to everything; after it, the body is.
    const std::size_t wrap_end = original_.find("\nbody ");
    return file.compare(0, wrap_end, original_, 0, wrap_end) != 0 ? kWrongKey : kDamaged;
  }

 private:
  std::string original_;
  std::size_t header_size_;
  std::regex layout_{
      "restream-keystore/1\n"
      "id [A-Za-z0-9+/]{21}[AQgw]==\n"
      "gen (0|[1-9][0-9]{0,18})\n"
      "kek (raw [A-Za-z0-9+/]{21}[AQgw]==|scrypt [A-Za-z0-9+/]{21}[AQgw]== 1[5678] 8 1)\n"
      "wrap [A-Za-z0-9+/]{16} [A-Za-z0-9+/]{64}\n"
      "body [A-Za-z0-9+/]{16}\n"
      "---\n"};
};

using Open = std::function<std::expected<keys::Unsealed, keys::KeysError>(const std::string&)>;

void check_refused(const std::string& file, const std::string& expected, const Open& open, std::size_t where) {
  const auto opened = open(file);
  const std::string& other = expected == kDamaged ? kWrongKey : kDamaged;
  // Catch's assertions are slow, and there are tens of thousands of these.
  if (!opened && opened.error().message.find(expected) != std::string::npos &&
      opened.error().message.find(other) == std::string::npos &&
      keys::exit_code(opened.error().kind) == (expected == kWrongKey ? 4 : 5)) {
    return;
  }
  FAIL("byte " << where << ": expected \"" << expected << "\", got \""
               << (opened ? "it opened" : opened.error().message) << "\"");
}

void flip_and_cut_everything(const std::string& file, const Open& open) {
  const Judge judge(file);
  REQUIRE(open(file));
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = file;
      altered[at] = static_cast<char>(altered[at] ^ (1 << bit));
      check_refused(altered, judge.expected(altered), open, at);
    }
    check_refused(file.substr(0, at), kDamaged, open, at);
  }
  for (const std::size_t more : {std::size_t{1}, std::size_t{16}, std::size_t{4096}})
    check_refused(file + std::string(more, 'x'), kDamaged, open, file.size());
}

std::string with(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("every flipped bit and every cut of a raw keystore is refused with the right message") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  flip_and_cut_everything(sealed_file(key, kJson),
                          [&](const std::string& file) { return keys::unseal_store(file, "store", key); });
}

TEST_CASE("every flipped bit and every cut of a passphrase keystore is refused with the right message") {
  const keys::MasterKey key = keys::passphrase_key(Secret::copy_of("correct horse"));
  const std::string file = sealed_file(key, kJson);
  const auto opened = keys::unseal_store(file, "store", key);
  REQUIRE(opened);
  // The work is done once; an altered salt or work factor would only lead to another wrong key.
  flip_and_cut_everything(file, [&](const std::string& altered) {
    return keys::unseal_store_with_kek(altered, "store", Secret::copy_of(opened->kek.bytes()));
  });
  const std::size_t salt = file.find("scrypt ") + 7;
  std::string altered = file;
  altered[salt] = altered[salt] == 'A' ? 'B' : 'A';
  check_refused(altered, kWrongKey, [&](const std::string& f) { return keys::unseal_store(f, "store", key); }, salt);
}

TEST_CASE("scrypt's work is checked before it is done") {
  const keys::MasterKey key = keys::passphrase_key(Secret::copy_of("correct horse"));
  const std::string file = sealed_file(key, kJson);
  for (const char* work : {" 14 8 1", " 19 8 1", " 30 8 1", " 015 8 1", " 15 9 1", " 15 8 2", " 15 8 1 ", " -15 8 1"}) {
    INFO(work);
    const auto opened = keys::unseal_store(with(file, " 15 8 1", work), "store", key);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == KeysErrorKind::damaged);
  }
}

TEST_CASE("a header has one spelling") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  const std::string file = sealed_file(key, kJson);
  const std::string id_line = file.substr(file.find("id "), 28);
  REQUIRE(id_line.ends_with('\n'));
  for (const auto& [what, by] : std::vector<std::pair<std::string, std::string>>{
           {"gen 12\n", "gen 012\n"},
           {"gen 12\n", "gen +12\n"},
           {"gen 12\n", "gen 12 \n"},
           {"gen 12\n", "gen  12\n"},
           {"gen 12\n", "gen\t12\n"},
           {"gen 12\n", "gen 12\r\n"},
           {"gen 12\n", "gen 18446744073709551616\n"},
           {"gen 12\n", ""},
           {"gen 12\n", "gen 12\ngen 12\n"},
           {"gen 12\n", "gen 12\nnote hello\n"},
           {"gen 12\n", "gen 12\n\n"},
           {id_line, id_line + id_line},
           {"==\n", "=\n"},
           {"kek raw", "kek pgp"},
           {"---\n", "----\n"},
           {"---\n", "---\r\n"},
           {"restream-keystore/1\n", "restream-keystore/1 \n"},
           {"restream-keystore/1\n", "\xef\xbb\xbfrestream-keystore/1\n"}}) {
    INFO(by);
    const auto opened = keys::unseal_store(with(file, what, by), "store", key);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == KeysErrorKind::damaged);
  }
}

TEST_CASE("another version is called by its number") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  const auto opened = keys::unseal_store(with(sealed_file(key, kJson), "keystore/1", "keystore/2"), "store", key);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == KeysErrorKind::unknown_version);
  CHECK(keys::exit_code(opened.error().kind) == 5);
  CHECK(opened.error().message.find("version 2") != std::string::npos);
}

TEST_CASE("things that are no keystore at all are damaged keystores") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  for (const std::string& file : {std::string(), std::string("{}"), std::string(5000, '\0'), std::string(5000, '\n')}) {
    const auto opened = keys::unseal_store(file, "store", key);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == KeysErrorKind::damaged);
  }
}

TEST_CASE("the file's length tells only how many 4 KiB its keys fill") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  const std::string small = sealed_file(key, R"({"a":{"k":"v"}})");
  CHECK(sealed_file(key, "{}").size() == small.size());
  CHECK(sealed_file(key, R"({"a":{"k":")" + std::string(4000, 'v') + "\"}}").size() == small.size());
  CHECK(sealed_file(key, R"({"a":{"k":")" + std::string(4096, 'v') + "\"}}").size() == small.size() + 4096);
}

TEST_CASE("the same keys sealed twice have nothing but their shape in common") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  const std::string first = sealed_file(key, kJson);
  const std::string second = sealed_file(key, kJson);
  CHECK(first.substr(first.find("wrap ")) != second.substr(second.find("wrap ")));
  CHECK(first.find("0123456789abcdef") == std::string::npos);
  CHECK(first.find("nyt-top") == std::string::npos);
}

TEST_CASE("a keystore of more than 1 MiB is not written") {
  const keys::MasterKey key = raw_key(keys::random_key().bytes());
  keys::Header header;
  header.kek = keys::new_kek(key, header.id, keys::kMinLog2N);
  const auto kek = keys::derive_kek(key, header);
  REQUIRE(kek);
  keys::Entries entries;
  for (int i = 0; i < 16; ++i) entries["f"].emplace("k" + std::to_string(i), Secret::copy_of(std::string(65536, 'v')));
  const auto file = keys::seal_store(header, *kek, entries);
  REQUIRE_FALSE(file);
  CHECK(file.error().message.find("1 MiB") != std::string::npos);
  entries["f"].erase("k0");
  CHECK(keys::seal_store(header, *kek, entries));
}

TEST_CASE("base64 has one text for each value") {
  std::array<std::uint8_t, 2> two{};
  CHECK(keys::base64_decode("AAE=", two));
  CHECK(two == std::array<std::uint8_t, 2>{0, 1});
  for (const char* text : {"AAF=", "AAE", "AAE==", "AA==", "AAEA", "AA E", "A=E=", "AAE=\n", "-AE=", ""}) {
    INFO(text);
    CHECK_FALSE(keys::base64_decode(text, two));
  }
}

TEST_CASE("the JSON inside is read in any spelling and printed in one") {
  const keys::Entries entries = entries_of(
      "\n{ \"b\" : {\"z\":\"1\", \"a\":\"\\u00e9\\ud83d\\ude00\\/\\n\\u001f\"} ,\t\"a\":{\"k\":\"v\"},\"c\":{}}\r\n");
  CHECK(keys::print_entries(entries).view() ==
        "{\"a\":{\"k\":\"v\"},\"b\":{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80/\\n\\u001f\",\"z\":\"1\"}}");
  CHECK(keys::same_entries(entries, entries_of(keys::print_entries(entries).view())));
}

TEST_CASE("JSON of another shape is refused where it stands, and not repeated") {
  for (const char* json : {"",
                           "[]",
                           "null",
                           "{",
                           R"({"a")",
                           R"({"a":)",
                           R"({"a":"hidden"})",
                           R"({"a":{"k":"hidden})",
                           R"({"a":{"k":17}})",
                           R"({"a":{"k":null}})",
                           R"({"a":{"k":["hidden"]}})",
                           R"({"a":{"k":"hidden",}})",
                           R"({"a":{"k":"hidden"}} hidden)",
                           R"({"a":{"k":"hidden"},})",
                           R"({"a":{"k":"hidden","k":"hidden"}})",
                           R"({"a":{"k":"hidden"},"a":{"l":"hidden"}})",
                           R"({"a":{},"a":{"l":"hidden"}})",
                           R"({"a":{"k":""}})",
                           R"({"a":{"k":"hidden\u0000"}})",
                           R"({"a":{"k":"hidden\ud800"}})",
                           R"({"a":{"k":"hidden\udc00\ud800"}})",
                           R"({"a":{"k":"hidden\x"}})",
                           R"({"a":{"k":"hidden\u12g4"}})",
                           "{\"a\":{\"k\":\"hidden\n\"}}",
                           "{\"a\":{\"k\":\"hidden\xff\"}}",
                           "{\"a\":{\"k\":\"hidden\xc0\xaf\"}}",
                           "{\"a\":{\"k\":\"\xed\xa0\x80hidden\"}}",
                           R"({'a':{'k':'hidden'}})",
                           R"({"a":{"k":"hidden"}} // hidden)",
                           R"({"../hidden":{"k":"v"}})",
                           R"({"a":{"hidden\nname":"v"}})",
                           R"({"":{"k":"hidden"}})",
                           R"({"a":{"":"hidden"}})"}) {
    INFO(json);
    const auto entries = keys::parse_entries(json);
    REQUIRE_FALSE(entries);
    CHECK(entries.error().message.find("hidden") == std::string::npos);
    CHECK(entries.error().column >= 1);
  }
  const auto error = keys::parse_entries("{\n  \"a\": {\n    \"k\": 1}}").error();
  CHECK(error.line == 3);
  CHECK(error.column == 10);
}

TEST_CASE("names are plain words") {
  for (const char* name : {"nyt-top", "api-key", "a", "A.b_c-1", "_x", "1"}) CHECK(keys::valid_name(name));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../x"), std::string("a/b"), std::string("a b"),
        std::string("a\nb"), std::string("a\0b", 3), std::string("\x1b[2J"), std::string("-rf"), std::string("a\"b"),
        std::string("caf\xc3\xa9"), std::string("\xe2\x80\xae"), std::string(65, 'a')}) {
    INFO(name);
    CHECK_FALSE(keys::valid_name(name));
  }
  CHECK(keys::valid_name(std::string(64, 'a')));
}

TEST_CASE("a secret is wiped when it shrinks and is moved, never copied") {
  Secret secret = Secret::copy_of("0123456789");
  const std::uint8_t* memory = secret.bytes().data();
  secret.shrink(4);
  CHECK(secret.view() == "0123");
  CHECK(std::all_of(memory + 4, memory + 10, [](std::uint8_t byte) { return byte == 0; }));
  secret.drop_front(1);
  CHECK(secret.view() == "123");
  CHECK(memory[3] == 0);
  const Secret moved = std::move(secret);
  CHECK(moved.bytes().data() == memory);
  static_assert(!std::is_copy_constructible_v<Secret>);
  CHECK(moved.same_as(Secret::copy_of("123")));
  CHECK_FALSE(moved.same_as(Secret::copy_of("124")));
}

}  // namespace keys_test
