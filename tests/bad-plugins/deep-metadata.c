/* Describes itself more deeply than any stack goes. */
#define NAME "deep-metadata"
#define OWN_METADATA
#include "bad.h"

int32_t metadata(const restream_call* call) {
  const char* const good = METADATA;
  int i;
  call->emit(call, good, strlen(good) - 1);
  emit_text(call, ", \"icon\": ");
  for (i = 0; i < 120000; ++i) emit_text(call, "[");
  for (i = 0; i < 120000; ++i) emit_text(call, "]");
  return emit_text(call, "}");
}

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
