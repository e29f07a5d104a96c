/* A plugin that forgot one of its functions. */
#include <restream/fetcher.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

int32_t metadata(const restream_call* call) { return call->emit(call, "{}", 2); }
