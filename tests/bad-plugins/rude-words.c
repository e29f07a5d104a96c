/* Is refused in words of its own, which a terminal would obey. */
#define NAME "rude-words"
#define OWN_METADATA
#include "bad.h"

int32_t metadata(const restream_call* call) {
  const char* const good = METADATA;
  call->emit(call, good, strlen(good) - 1);
  return emit_text(call, ", \"params\": {\"\\u001b]0;rude\\u0007\\n\\u009b2J\": 5}}");
}

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
