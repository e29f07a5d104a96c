/* Prints without end. */
#define NAME "stdout-flood"
#include "bad.h"

#include <stdio.h>

int32_t fetch(const restream_call* call) {
  (void)call;
  for (;;) puts("printed, and printed, and printed");
}
