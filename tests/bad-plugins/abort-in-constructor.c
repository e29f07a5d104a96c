/* Takes its process down before anything can be asked of it. */
#define NAME "abort-in-constructor"
#include "bad.h"

#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void on_load(void) {
  fputs("no configuration, no life\n", stderr);
  abort();
}

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
