/* Logs without end. */
#define NAME "log-flood"
#include "bad.h"

int32_t fetch(const restream_call* call) {
  for (;;) log_text(call, "logged, and logged, and logged");
}
