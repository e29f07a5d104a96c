/* Emits what is no JSON. */
#define NAME "garbage-result"
#include "bad.h"

int32_t fetch(const restream_call* call) { return emit_text(call, "\x01\xff{]<html>"); }
