/* A plugin built for a newer minor version than the host has. */
#include <restream/fetcher.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = {RESTREAM_FETCHER_MAGIC,
                                                                      sizeof(restream_fetcher_descriptor),
                                                                      RESTREAM_ABI_MAJOR,
                                                                      RESTREAM_ABI_MINOR + 1,
                                                                      0,
                                                                      "0.9.0"};

int32_t metadata(const restream_call* call) { return call->emit(call, "{}", 2); }
int32_t fetch(const restream_call* call) { return call->emit(call, "{}", 2); }
