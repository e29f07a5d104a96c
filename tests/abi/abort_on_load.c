/* A plugin that takes its process down before anything can be asked of it. */
#include <restream/fetcher.h>
#include <stdlib.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

__attribute__((constructor)) static void on_load(void) { abort(); }

int32_t metadata(const restream_call* call) { return call->emit(call, "{}", 2); }
int32_t fetch(const restream_call* call) { return call->emit(call, "{}", 2); }
