/* The contract's header is C11, and its layout is fixed. */
#include <restream/fetcher.h>

#define FIXED(condition) _Static_assert(condition, #condition)
#include "layout.h"

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;
