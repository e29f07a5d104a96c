/* Thinks that it is a program. */
#define NAME "exit-in-fetch"
#include "bad.h"

#include <stdio.h>
#include <stdlib.h>

int32_t fetch(const restream_call* call) {
  (void)call;
  fputs("that was all\n", stderr);
  exit(3);
}
