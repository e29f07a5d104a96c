/* Built for a contract that is to come. */
#define NAME "wrong-abi"
#define OWN_DESCRIPTOR
#include "bad.h"

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = {
    RESTREAM_FETCHER_MAGIC, sizeof(restream_fetcher_descriptor), RESTREAM_ABI_MAJOR + 1, 3, 0, "9.0.0"};

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
