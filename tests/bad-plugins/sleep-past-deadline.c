/* Has a rest, and its deadline passes. */
#define NAME "sleep-past-deadline"
#include "bad.h"

#include <unistd.h>

int32_t fetch(const restream_call* call) {
  log_text(call, "good night");
  for (;;) sleep(3600);
}
