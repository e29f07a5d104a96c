// The least that anybody could spend on a poll: GET with libcurl on a kept connection, and parse the answer once.
// Prints
// {"cpu_us": …} per round. See polls.mjs.
#include <curl/curl.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

namespace {

std::size_t append(const char* data, std::size_t size, std::size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  const int rounds = std::atoi(words[2]);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* easy = curl_easy_init();
  std::string body;
  curl_easy_setopt(easy, CURLOPT_URL, words[1]);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
  std::size_t items = 0;
  const double begin = cpu_us();
  for (int i = 0; i < rounds; ++i) {
    body.clear();
    if (curl_easy_perform(easy) != CURLE_OK) return 1;
    items += nlohmann::json::parse(body).at("items").size();
  }
  std::printf("{\"cpu_us\": %.1f, \"items\": %zu}\n", (cpu_us() - begin) / rounds, items);
  curl_easy_cleanup(easy);
  return 0;
}
