/* A library that happens to export the same names. */
#include <restream/fetcher.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = {{'s', 'o', 'm', 'e', 't', 'h', 'n', 'g'},
                                                                      sizeof(restream_fetcher_descriptor),
                                                                      RESTREAM_ABI_MAJOR,
                                                                      RESTREAM_ABI_MINOR,
                                                                      0,
                                                                      ""};

int32_t metadata(const restream_call* call) { return call->emit(call, "{}", 2); }
int32_t fetch(const restream_call* call) { return call->emit(call, "{}", 2); }
