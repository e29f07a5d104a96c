/* Never returns, and keeps a core busy with it. */
#define NAME "loop-in-fetch"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  volatile unsigned turns = 0;
  log_text(call, "round and round");
  for (;;) ++turns;
}
