/* Starts threads, on as little memory as it takes. Not without end: a machine has other users. */
#define NAME "thread-bomb"
#include "bad.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

static void* wait_for_ever(void* unused) {
  for (;;) pause();
  return unused;
}

int32_t fetch(const restream_call* call) {
  pthread_attr_t small;
  pthread_t thread;
  int i;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
  log_text(call, "one thread more cannot hurt");
  for (i = 0; i < 1500; ++i)
    if (pthread_create(&thread, &small, wait_for_ever, NULL) != 0) return RESTREAM_FAILED;
  for (;;) pause();
}
