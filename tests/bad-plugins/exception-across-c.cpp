// Throws where the other side is C.
#include <stdexcept>

#define NAME "exception-across-c"
#include "bad.h"

int32_t fetch(const restream_call*) { throw std::runtime_error("somebody will catch this"); }
