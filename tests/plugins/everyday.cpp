// Does what honest plugins do with the C and C++ libraries; each of these loads, asks or starts something. Its items
// say what did not work.
#include <iconv.h>
#include <langinfo.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <random>
#include <regex>
#include <restream/fetcher.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

bool converts() {  // a converter is a library of its own
  const iconv_t converter = iconv_open("UTF-8", "ISO-8859-15");
  if (converter == iconv_t(-1)) return false;
  std::array<char, 8> in{'\xA4'};
  std::array<char, 8> out{};
  char* from = in.data();
  char* to = out.data();
  std::size_t from_size = 1;
  std::size_t to_size = out.size();
  const bool done = iconv(converter, &from, &from_size, &to, &to_size) == 0;
  iconv_close(converter);
  return done && std::string(out.data()) == "€";
}

bool throws() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception& error) {
    return std::string(error.what()) == "thrown";
  }
}

bool cancels_a_thread() {  // glibc loads libgcc_s for it
  pthread_t thread{};
  const auto wait = [](void*) -> void* {
    for (;;) pause();
  };
  if (pthread_create(&thread, nullptr, wait, nullptr) != 0) return false;
  void* result = nullptr;
  return pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED;
}

bool digests() {  // libcrypto, which starts itself up
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  return EVP_Digest("x", 1, digest.data(), &size, EVP_sha256(), nullptr) == 1 && size == 32;
}

bool knows_the_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::array<char, 64> text{};
  return localtime_r(&now, &parts) != nullptr && std::strftime(text.data(), text.size(), "%c %Z", &parts) > 0;
}

bool finds_no_host() {  // an error, and no crash
  addrinfo* found = nullptr;
  return getaddrinfo("localhost", "80", nullptr, &found) != 0;
}

bool finds_no_user() {  // likewise, whoever this is
  getpwuid(getuid());
  return true;
}

bool allocates() {
  std::vector<std::string> many;
  for (std::size_t i = 1; i < 200; ++i) many.emplace_back(i * 1000, 'x');
  return std::all_of(many.begin(), many.end(), [](const std::string& one) { return one.back() == 'x'; });
}

const std::map<std::string, std::function<bool()>> deeds{
    {"iconv", &converts},
    {"exception", &throws},
    {"pthread_cancel", &cancels_a_thread},
    {"digest", &digests},
    {"localtime", &knows_the_time},
    {"getaddrinfo", &finds_no_host},
    {"getpwuid", &finds_no_user},
    {"memory", &allocates},
    {"locale",
     [] { return std::setlocale(LC_ALL, "C.UTF-8") != nullptr && std::string(nl_langinfo(CODESET)) == "UTF-8"; }},
    {"regex", [] { return std::regex_match("abc", std::regex("[a-c]+")); }},
    {"random", [] { return std::random_device()() + std::random_device()() != 1; }},
    {"async", [] { return std::async(std::launch::async, [] { return 42; }).get() == 42; }},
    {"cores", [] { return std::thread::hardware_concurrency() > 0; }},
    {"sleep", [] { return std::this_thread::sleep_for(std::chrono::milliseconds(1)), true; }},
    {"exists", [] { return std::filesystem::exists("/usr/lib") && !std::filesystem::exists("/nowhere"); }},
    {"stdout", [] { return std::printf("%s\n", "printed") > 0 && std::fflush(stdout) == 0; }},
    {"terminal", [] { return isatty(1) == 0; }},
};

struct Everyday {
  static restream::json metadata() {
    return {{"name", "everyday"},
            {"description", "What honest plugins do"},
            {"id_field", "id"},
            {"api_url", "http://127.0.0.1:9/{}"},
            {"doc_url", "https://example.com/"},
            {"keys", restream::json::array()},
            {"poll_interval", 1}};
  }

  static restream::Result fetch(restream::Context&, const restream::Params&, const restream::Keys&) {
    auto failed = restream::json::array();
    for (const auto& [name, deed] : deeds)
      if (!deed()) failed.push_back({{"id", name}});
    return restream::items(failed);
  }
};

}  // namespace

RESTREAM_FETCHER(Everyday)
