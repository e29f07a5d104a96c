// restream-keys as people and scripts meet it: a process with arguments, standard input and an exit code.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "keys_support.hpp"

namespace keys_test {

namespace {

constexpr const char* kSecret = "Zx9-very-secret-value-Qw7";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> passphrase_arguments(const TempDir& dir, std::vector<std::string> more) {
  more.insert(more.end(), {"--file", dir / "keys.restream", "--master-key", "passphrase"});
  return more;
}

}  // namespace

TEST_CASE("init makes a master key and a keystore that only their owner can read, once") {
  const Store store;
  struct stat found{};
  REQUIRE(stat(store.master().c_str(), &found) == 0);
  CHECK(found.st_size == 32);
  for (const std::string& name : files_in(store.dir.path)) {
    INFO(name);
    REQUIRE(stat((store.dir / name).c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
  }
  const std::string before = read_file(store.file());
  const std::string key = read_file(store.master());
  const Outcome again = store.run({"init"});
  CHECK(again.code == 2);
  CHECK(has(again.err, "exists already"));
  CHECK(read_file(store.file()) == before);
  CHECK(read_file(store.master()) == key);
}

TEST_CASE("the commands that it advises are about the same keystore and master key") {
  const TempDir dir;
  const std::vector<std::string> words{"--file", dir / "my keys", "--master-key", dir / "master.key"};
  const std::string same = "restream-keys --file '" + dir.path + "/my keys' --master-key " + dir.path + "/master.key ";
  const auto with = [&words](std::vector<std::string> verb) {
    verb.insert(verb.end(), words.begin(), words.end());
    return run({.arguments = verb, .input = "x"});
  };
  const Outcome missing = with({"set", "nyt-top", "api-key"});
  CHECK(missing.code == 9);
  CHECK(has(missing.err, "`" + same + "init` makes one"));
  CHECK(has(with({"init"}).out, "Next: " + same + "set FETCHER KEY\n"));
  CHECK(has(with({"rm", "nyt-top", "api-key"}).err, "`" + same + "list` shows what it has"));
  // init would refuse that keystore, or make another one elsewhere: nothing but the key's copy helps.
  std::filesystem::remove(dir / "master.key");
  const Outcome no_key = with({"list"});
  CHECK(no_key.code == 9);
  CHECK(has(no_key.err, "/master.key does not exist. Bring back your copy of it: nothing else opens the keystore"));
  CHECK_FALSE(has(no_key.err, "init"));
  const Outcome elsewhere = run({.arguments = {"list", "--file", dir / "none"}});
  CHECK(has(elsewhere.err, "`restream-keys --file " + dir.path + "/none init` makes one"));
}

TEST_CASE("init uses a master key that is there, but not one that others can read") {
  const TempDir dir;
  write_file(dir / "master.key", std::string(32, 'k'), 0644);
  const std::vector<std::string> init{"init", "--file", dir / "ks", "--master-key", dir / "master.key"};
  CHECK(run({.arguments = init}).code == 6);
  CHECK_FALSE(std::filesystem::exists(dir / "ks"));
  chmod((dir / "master.key").c_str(), 0600);
  CHECK(run({.arguments = init}).code == 0);
  CHECK(read_file(dir / "master.key") == std::string(32, 'k'));
}

TEST_CASE("set, list, get, rm: a key's life") {
  const Store store;
  CHECK(store.run({"set", "nyt-top", "api-key"}, std::string(kSecret) + "\n").code == 0);
  CHECK(store.run({"set", "twitter-status", "token"}, "two\nlines\r\n").code == 0);
  CHECK(store.get("nyt-top", "api-key") == kSecret);
  CHECK(store.get("twitter-status", "token") == "two\nlines");
  const Outcome listed = store.run({"list"});
  CHECK(listed.code == 0);
  CHECK(listed.out == "nyt-top api-key\ntwitter-status token\n");
  CHECK_FALSE(has(listed.out + listed.err, kSecret));

  CHECK(store.run({"get", "nyt-top", "api-key"}).code == 2);
  CHECK(store.run({"get", "nyt-top", "api-key", "--reveal"}).out == std::string(kSecret) + "\n");
  CHECK(store.run({"get", "nyt-top", "other", "--reveal"}).code == 3);
  CHECK(store.run({"rm", "nyt-top", "other"}).code == 3);
  CHECK(store.run({"rm", "other"}).code == 3);
  CHECK(store.gen() == 3);
  CHECK(store.run({"rm", "nyt-top", "api-key"}).code == 0);
  CHECK(store.run({"list"}).out == "twitter-status token\n");
  CHECK(store.run({"rm", "twitter-status"}).code == 0);
  CHECK(store.run({"list"}).out.empty());
  CHECK(store.gen() == 5);
  CHECK(store.run({"verify"}).code == 0);
}

TEST_CASE("import takes a JSON object kept by hand, all of it or nothing") {
  const Store store;
  const std::string file = store.dir / "mine.json";
  write_file(file, "{\n  \"nyt-top\": { \"api-key\": \"one\" },\n  \"other\": {\"a\": \"2\", \"b\": \"\\u00fc\"}\n}\n");
  const Outcome imported = store.run({"import", file});
  CHECK(imported.code == 0);
  CHECK(has(imported.err, "shred"));
  CHECK(store.get("other", "b") == "\xc3\xbc");
  CHECK(store.gen() == 2);
  const std::string before = read_file(store.file());

  SECTION("what is there already is not replaced, and then nothing is imported") {
    const Outcome refused = store.run({"import", "-"}, R"({"new":{"k":"v"},"nyt-top":{"api-key":"changed"}})");
    CHECK(refused.code == 2);
    CHECK(has(refused.err, "nyt-top/api-key"));
    CHECK(read_file(store.file()) == before);
  }
  SECTION("--overwrite replaces what is named, and only that") {
    CHECK(store.run({"import", "-", "--overwrite"}, R"({"new":{"k":"v"},"nyt-top":{"api-key":"changed"}})").code == 0);
    CHECK(store.get("nyt-top", "api-key") == "changed");
    CHECK(store.get("new", "k") == "v");
    CHECK(store.get("other", "a") == "2");
  }
  SECTION("one bad member spoils all") {
    for (const char* json : {R"({"new":{"k":"hidden"},"bad":{"k":1}})", R"({"new":{"k":"hidden"},"../bad":{"k":"v"}})",
                             R"({"new":{"k":"hidden","k":"hidden"}})", R"({"new":{"k":"hidden"})", "", "{}", "[]"}) {
      const Outcome refused = store.run({"import", "-", "--overwrite"}, json);
      INFO(json << refused.err);
      CHECK(refused.code == 2);
      CHECK_FALSE(has(refused.err, "hidden"));
      CHECK(read_file(store.file()) == before);
    }
  }
  SECTION("export gives the same object back, when it is asked for twice") {
    CHECK(store.run({"export"}).code == 2);
    CHECK(store.run({"export", "--plaintext"}).code == 2);
    CHECK(store.run({"export", "--plaintext", "--yes"}).out ==
          "{\"nyt-top\":{\"api-key\":\"one\"},\"other\":{\"a\":\"2\",\"b\":\"\xc3\xbc\"}}\n");
  }
  SECTION("a file that is not there") { CHECK(store.run({"import", store.dir / "none"}).code == 9); }
}

TEST_CASE("rekey says what to do next") {
  const Store store;
  const Outcome outcome = store.run({"rekey"});
  CHECK(outcome.code == 0);
  for (const char* words :
       {"renew your copy of it", "Restart the service", "systemctl restart restream", "get new ones from each API"}) {
    INFO(words);
    CHECK(has(outcome.out, words));
  }
}

TEST_CASE("hostile names are refused before anything is opened") {
  const Store store;
  const std::string before = read_file(store.file() + ".audit");
  for (const char* name : {"", ".", "..", "../../etc/passwd", "a/b", "a b", "a\nb", "\x1b[2J", "caf\xc3\xa9", "\xff",
                           "{\"a\":1}", "$(id)", "a\"b"}) {
    INFO(name);
    CHECK(store.run({"set", name, "key"}, "v").code == 2);
    CHECK(store.run({"set", "fetcher", name}, "v").code == 2);
    CHECK(store.run({"rm", name}).code == 2);
    CHECK(store.run({"get", name, "key", "--reveal"}).code == 2);
  }
  CHECK(store.run({"set", "fetcher", std::string(65, 'a')}, "v").code == 2);
  CHECK(store.gen() == 1);
  CHECK(read_file(store.file() + ".audit") == before);
}

TEST_CASE("a value is text of 1 byte to 64 KiB") {
  const Store store;
  for (const std::string& value : {std::string(), std::string("\n"), std::string("\xff"), std::string("a\0b", 3),
                                   std::string(65537, 'v'), std::string(500000, 'v')}) {
    CHECK(store.run({"set", "f", "k"}, value).code == 2);
  }
  CHECK(store.gen() == 1);
  CHECK(store.run({"set", "f", "k"}, std::string(65536, 'v') + "\n").code == 0);
  CHECK(store.get("f", "k") == std::string(65536, 'v'));
}

TEST_CASE("no terminal and no flag: exit 2, never a hang") {
  const TempDir dir;
  for (const bool silent : {true, false}) {
    Spawn spawn{.arguments = passphrase_arguments(dir, {"init"}), .seconds = 10};
    if (silent) spawn.input.reset();
    const Outcome outcome = run(spawn);
    CHECK(outcome.code == 2);
    CHECK(has(outcome.err, "--passphrase-stdin"));
  }
  const Store store;
  CHECK(store.run({"set", "f", "k"}, "").code == 2);
  CHECK(run({.arguments = store.arguments({"set", "f", "k"}), .in_child = [] { close(STDIN_FILENO); }}).code == 2);
  CHECK(run({.arguments = {}}).code == 2);
  CHECK(run({.arguments = {"frobnicate"}}).code == 2);
  CHECK(store.run({"list", "--passphrase-stdin"}, "x\n").code == 2);
}

TEST_CASE("a passphrase comes as the first line of standard input, and the rest is the value") {
  const TempDir dir;
  const auto with = [&](std::vector<std::string> more, const std::string& input) {
    more.emplace_back("--passphrase-stdin");
    return run({.arguments = passphrase_arguments(dir, std::move(more)), .input = input});
  };
  CHECK(with({"init"}, "").code == 2);
  CHECK(with({"init"}, "correct horse\n").code == 0);
  CHECK(has(read_file(dir / "keys.restream"), " 17 8 1\n"));
  CHECK(with({"set", "nyt-top", "api-key"}, "correct horse\nthe value\n").code == 0);
  CHECK(with({"get", "nyt-top", "api-key", "--reveal"}, "correct horse").out == "the value\n");
  const Outcome wrong = with({"list"}, "correct horsf\n");
  CHECK(wrong.code == 4);
  CHECK(has(wrong.err, "wrong master key, or the header was altered: the passphrase does not open it"));
  CHECK(has(wrong.err, "run the command again and give the passphrase anew"));
  CHECK(with({"rekey"}, "correct horse\n").code == 2);
  CHECK(with({"rekey"}, "correct horse\nbattery staple\n").code == 0);
  CHECK(with({"list"}, "correct horse\n").code == 4);
  CHECK(with({"list"}, "battery staple\n").out == "nyt-top api-key\n");
  // A key file does not open it, and says what would.
  const Store other;
  const Outcome file = run({.arguments = {"list", "--file", dir / "keys.restream", "--master-key", other.master()}});
  CHECK(file.code == 4);
  CHECK(has(file.err, "passphrase"));
  CHECK(run({.arguments = {"list", "--file", other.file(), "--master-key", "passphrase", "--passphrase-stdin"},
             .input = "x\n"})
            .code == 4);
}

TEST_CASE("no value is in arguments, environment, messages or files") {
  const Store store;
  const auto lock = keys::StoreLock::take(store.file(), std::chrono::milliseconds(0));
  REQUIRE(lock);
  std::string seen = "nothing";
  std::string limits;
  const Outcome outcome = run({.arguments = store.arguments({"set", "nyt-top", "api-key"}),
                               .input = std::string(kSecret) + "\n",
                               .environment = {"PATH=/usr/bin"},
                               .meanwhile = [&](pid_t child) {
                                 const std::string proc = "/proc/" + std::to_string(child);
                                 const std::string none = "Max core file size        0                    0 ";
                                 // It waits five seconds for the lock: where it has just begun, there is time.
                                 for (int i = 0; i < 200 && !has(limits, none); ++i) {
                                   std::this_thread::sleep_for(std::chrono::milliseconds(10));
                                   limits = read_file(proc + "/limits");
                                 }
                                 // It has read its value after this, and waits.
                                 std::this_thread::sleep_for(std::chrono::milliseconds(500));
                                 seen = read_file(proc + "/cmdline") + read_file(proc + "/environ");
                               }});
  CHECK(outcome.code == 7);
  CHECK(has(seen, "set"));
  CHECK_FALSE(has(seen, kSecret));
  CHECK(has(limits, "Max core file size        0                    0 "));
  CHECK_FALSE(has(outcome.out + outcome.err, kSecret));
  CHECK_FALSE(any_file_holds(store.dir.path, kSecret));
}

TEST_CASE("a value given as an argument is refused and not repeated") {
  const Store store;
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"set", "nyt-top", "api-key", kSecret},
                                             {"set", "f", "k", std::string("--value=") + kSecret},
                                             {"list", kSecret}}) {
    const Outcome outcome = store.run(arguments, "v");
    CHECK(outcome.code == 2);
    CHECK_FALSE(has(outcome.out + outcome.err, kSecret));
  }
  CHECK_FALSE(any_file_holds(store.dir.path, kSecret));
}

TEST_CASE("each verb leaves one audit line, and never a value") {
  const Store store;
  store.run({"set", "nyt-top", "api-key"}, kSecret);
  store.run({"get", "nyt-top", "api-key", "--reveal"});
  store.run({"rm", "nope"});
  store.run({"export", "--plaintext", "--yes"});
  store.run({"list"});
  store.run({"import", "-"}, R"({"a":{"one":"imported-1","two":"imported-2"}})");
  store.run({"import", "-"}, R"({"a":{"one":"imported-3"}})");
  store.run({"verify"});
  store.run({"rekey"});
  const std::string good = read_file(store.file());
  write_file(store.file(), good.substr(0, good.size() - 1) + (good.back() == 'x' ? "y" : "x"));
  store.run({"verify"});
  store.run({"set", "nyt-top", "api-key"}, kSecret);
  write_file(store.file(), good, 0644);
  store.run({"list"});
  write_file(store.file(), good);
  write_file(store.master(), std::string(32, 'k'));
  store.run({"get", "nyt-top", "api-key", "--reveal"});

  const std::string uid = "\"uid\":" + std::to_string(getuid());
  const std::vector<std::string> expected{
      R"("verb":"init","names":[],"gen":1,"result":"ok"})",
      R"("verb":"set","names":["nyt-top/api-key"],"gen":2,"result":"ok"})",
      R"("verb":"get","names":["nyt-top/api-key"],"gen":2,"result":"ok"})",
      R"("verb":"rm","names":["nope"],"gen":null,"result":"no such entry"})",
      R"("verb":"export","names":["nyt-top/api-key"],"gen":2,"result":"ok"})",
      R"("verb":"list","names":[],"gen":2,"result":"ok"})",
      R"("verb":"import","names":["a/one","a/two"],"gen":3,"result":"ok"})",
      R"("verb":"import","names":["a/one"],"gen":null,"result":"refused"})",
      R"("verb":"verify","names":[],"gen":3,"result":"ok"})",
      R"("verb":"rekey","names":[],"gen":4,"result":"ok"})",
      R"("verb":"verify","names":[],"gen":null,"result":"damaged"})",
      R"("verb":"set","names":["nyt-top/api-key"],"gen":null,"result":"damaged"})",
      R"("verb":"list","names":[],"gen":null,"result":"permissions"})",
      R"("verb":"get","names":["nyt-top/api-key"],"gen":null,"result":"wrong key"})",
  };
  const std::string audit = read_file(store.file() + ".audit");
  INFO(audit);
  std::istringstream lines(audit);
  std::string line;
  std::size_t count = 0;
  for (; std::getline(lines, line); ++count) {
    REQUIRE(count < expected.size());
    CHECK(line.starts_with("{\"time\":\"20"));
    CHECK(line.ends_with(uid + "," + expected[count]));
  }
  CHECK(count == expected.size());
  for (const char* value : {kSecret, "imported-"}) CHECK_FALSE(has(audit, value));
}

TEST_CASE("where the audit line cannot be written, nothing is shown, and the rest works with a warning") {
  const Store store;
  store.run({"set", "nyt-top", "api-key"}, kSecret);
  const std::string audit = store.file() + ".audit";
  SECTION("a directory is in its place") {
    std::filesystem::remove(audit);
    std::filesystem::create_directory(audit);
  }
  SECTION("others can read it") { chmod(audit.c_str(), 0644); }
  SECTION("it is a link") {
    std::filesystem::remove(audit);
    std::filesystem::create_symlink(store.dir / "elsewhere", audit);
  }
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"get", "nyt-top", "api-key", "--reveal"},
                                                                     {"export", "--plaintext", "--yes"}}) {
    const Outcome outcome = store.run(arguments);
    CHECK(outcome.code != 0);
    CHECK(outcome.out.empty());
    CHECK_FALSE(has(outcome.err, kSecret));
  }
  const Outcome listed = store.run({"list"});
  CHECK(listed.code == 0);
  CHECK(has(listed.err, "warning"));
  CHECK_FALSE(std::filesystem::exists(store.dir / "elsewhere"));
}

TEST_CASE("exit codes tell a script what happened") {
  const Store store;
  store.run({"set", "f", "k"}, "v");
  const std::string good = read_file(store.file());
  std::string bad = good;
  bad.back() = static_cast<char>(bad.back() ^ 1);
  write_file(store.file(), bad);
  const Outcome damaged = store.run({"verify"});
  CHECK(damaged.code == 5);
  CHECK(has(damaged.err, "the keystore is damaged"));
  CHECK(store.run({"set", "f", "k"}, "w").code == 5);
  CHECK(read_file(store.file()) == bad);
  write_file(store.file(), good, 0644);
  const Outcome open_to_all = store.run({"list"});
  CHECK(open_to_all.code == 6);
  CHECK(has(open_to_all.err, "chmod 0600 " + store.file()));
  std::filesystem::remove(store.file());
  CHECK(store.run({"list"}).code == 9);
  std::filesystem::create_symlink(store.master(), store.file());
  CHECK(store.run({"list"}).code == 6);
}

TEST_CASE("a full disk leaves the old keystore and no litter") {
  const Store store;
  store.run({"set", "f", "k"}, "old");
  const Outcome outcome = run({.arguments = store.arguments({"set", "f", "k"}), .input = "new", .in_child = [] {
                                 const rlimit limit{2048, 2048};
                                 setrlimit(RLIMIT_FSIZE, &limit);
                                 signal(SIGXFSZ, SIG_IGN);
                               }});
  CHECK(outcome.code == 9);
  CHECK(store.get("f", "k") == "old");
  CHECK_FALSE(std::filesystem::exists(store.dir / ".keys.restream.tmp"));
}

TEST_CASE("--help tells how to begin, and every verb in it works") {
  const Outcome help = run({.arguments = {"--help"}});
  CHECK(help.code == 0);
  for (const char* word : {"init", "set nyt-top api-key", "import", "list", "credential:NAME", "Exit codes"}) {
    INFO(word);
    CHECK(has(help.out, word));
  }
  CHECK(run({.arguments = {"import", "--help"}}).code == 0);
  CHECK(has(run({.arguments = {"--version"}}).out, "restream-keys "));
}

}  // namespace keys_test
