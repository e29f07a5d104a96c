/* Declares a key whose name would be a command of its own in a shell. */
#define NAME "rude-key"
#define OWN_METADATA
#include "bad.h"

int32_t metadata(const restream_call* call) {
  return emit_text(call, "{\"name\": \"" NAME
                         "\", \"description\": \"d\", \"id_field\": \"id\", \"api_url\": \"http://127.0.0.1:9/\", "
                         "\"doc_url\": \"u\", \"keys\": [\"k'; touch rude; echo \\u001b[31m\"], \"poll_interval\": 1}");
}

int32_t fetch(const restream_call* call) { return emit_text(call, ONE_ITEM); }
