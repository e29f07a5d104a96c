/* Goes on asking when it is told that nobody waits. */
#define NAME "ignore-cancellation"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  const char url[] = "http://127.0.0.1:9/slow";
  restream_http_request request;
  restream_http_response response;
  memset(&request, 0, sizeof request);
  memset(&response, 0, sizeof response);
  request.size = sizeof request;
  request.url.data = url;
  request.url.size = sizeof url - 1;
  response.size = sizeof response;
  for (;;) call->http(call, &request, &response);
}
