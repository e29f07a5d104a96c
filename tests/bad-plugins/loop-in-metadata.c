/* Never says what it is. */
#define NAME "loop-in-metadata"
#define OWN_METADATA
#include "bad.h"

int32_t metadata(const restream_call* call) {
  volatile unsigned turns = 0;
  (void)call;
  for (;;) ++turns;
}

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
