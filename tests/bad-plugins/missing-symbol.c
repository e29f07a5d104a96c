/* Calls a function that no library has. */
#define NAME "missing-symbol"
#include "bad.h"

extern int nobody_wrote_this(void);

int32_t fetch(const restream_call* call) { return nobody_wrote_this() + emit_text(call, ONE_ITEM); }
