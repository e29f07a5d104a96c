/* Writes to what it did not open. */
#define NAME "rubbish-on-fd-3"
#include "bad.h"

#include <unistd.h>

int32_t fetch(const restream_call* call) {
  const ssize_t written = write(3, "\xff\xff\xff\xff rubbish", 12);
  log_text(call, written < 0 ? "nothing was written" : "something was written");
  return emit_text(call, ONE_ITEM);
}
