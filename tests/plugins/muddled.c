/* A fetcher whose metadata contradicts itself. */
#include <restream/fetcher.h>
#include <string.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

int32_t metadata(const restream_call* call) {
  static const char text[] =
      "{\"name\": \"confused\", \"description\": \"\", \"id_field\": \"id\", \"intervall\": 3,"
      " \"api_url\": \"https://api.example.com/\", \"doc_url\": \"nowhere\", \"keys\": [\"a key\"],"
      " \"poll_interval\": 60, \"quota\": {\"calls\": 10, \"per\": \"day\", \"shared_key\": \"token\"},"
      " \"params\": {\"size\": {\"default\": \"huge\", \"enum\": [\"small\", \"LARGE\"], \"pattern\": \"[a-z]+\"},"
      "              \"of\": {\"default\": \"x\", \"required\": true, \"sort\": \"text\"}},"
      " \"example_params\": {\"size\": \"small\", \"colour\": \"red\", \"of\": \"x\"}}";
  return call->emit(call, text, sizeof text - 1);
}

int32_t fetch(const restream_call* call) {
  static const char text[] = "{\"status_code\": 500, \"result\": \"never\"}";
  return call->emit(call, text, sizeof text - 1);
}
