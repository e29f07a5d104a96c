/* Closes what it did not open. */
#define NAME "close-fd-3"
#include "bad.h"

#include <unistd.h>

int32_t fetch(const restream_call* call) {
  close(3);
  return emit_text(call, ONE_ITEM);
}
