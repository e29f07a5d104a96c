/* Emits an item that is deeper than any stack. */
#define NAME "deep-json"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  int i;
  emit_text(call, "{\"status_code\": 200, \"result\": [{\"id\": \"1\", \"deep\": ");
  for (i = 0; i < 1000000; ++i) emit_text(call, "[");
  return RESTREAM_OK;
}
