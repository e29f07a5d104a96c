/* Writes to where nothing is, after a word to the log. */
#define NAME "null-dereference"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  volatile int* volatile nothing = NULL;
  log_text(call, "about to write to nowhere");
  *nothing = 1;
  return emit_text(call, ONE_ITEM);
}
