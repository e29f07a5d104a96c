// The contract's header is C++17 too, twice in one file if need be, and its layout is the one that C sees.
#include <restream/fetcher.h>

#define FIXED(condition) static_assert(condition, #condition)
#include "layout.h"

extern "C" RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher;
const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;
