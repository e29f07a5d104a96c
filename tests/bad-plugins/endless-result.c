/* Emits until nothing more is taken, and on. */
#define NAME "endless-result"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  int i;
  emit_text(call, "{\"status_code\": 200, \"result\": [");
  for (i = 0; i < 2000000; ++i) emit_text(call, "{\"id\": \"1\", \"and\": \"so on and so on\"},");
  return RESTREAM_OK;
}
