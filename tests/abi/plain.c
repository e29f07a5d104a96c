/* A fetcher in C, without any of the C++ face: asks for one document and hands it on as its only item. */
#include <restream/fetcher.h>
#include <string.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

static restream_text text(const char* chars) {
  const restream_text result = {chars, strlen(chars)};
  return result;
}

static int32_t emit(const restream_call* call, const char* chars) { return call->emit(call, chars, strlen(chars)); }

int32_t metadata(const restream_call* call) {
  return emit(call,
              "{\"name\": \"plain\", \"description\": \"A fetcher in C\", \"id_field\": \"id\", "
              "\"api_url\": \"https://api.example.com/one\", \"doc_url\": \"https://example.com/\", "
              "\"keys\": [], \"poll_interval\": 60}");
}

int32_t fetch(const restream_call* call) {
  const restream_header accept = {text("accept"), text("application/json")};
  const restream_http_request request = {sizeof request, 1,        {NULL, 0}, text("https://api.example.com/one"),
                                         &accept,        {NULL, 0}};
  restream_http_response response;
  int32_t code;

  memset(&response, 0, sizeof response);
  response.size = sizeof response;
  code = call->http(call, &request, &response);
  if (code != RESTREAM_OK) {
    call->log(call, RESTREAM_ERROR, response.error.data, response.error.size);
    return code;
  }
  if (response.status != 200) return emit(call, "{\"status_code\": 502, \"result\": \"no 200\"}");
  code = emit(call, "{\"status_code\": 200, \"result\": [");
  if (code == RESTREAM_OK) code = call->emit(call, response.body.data, response.body.size);
  if (code == RESTREAM_OK) code = emit(call, "]}");
  return code;
}
