/* Keeps all the memory there is. */
#define NAME "memory-leak"
#include "bad.h"

#include <stdlib.h>

int32_t fetch(const restream_call* call) {
  const size_t size = 1U << 20U;
  char* more;
  while ((more = malloc(size)) != NULL) memset(more, 1, size);
  log_text(call, "there is no more memory");
  return RESTREAM_FAILED;
}
