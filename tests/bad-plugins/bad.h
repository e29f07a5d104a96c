/* What the bad plugins have in common: a descriptor and metadata that are fine. Define NAME before it. */
#ifndef RESTREAM_TESTS_BAD_H
#define RESTREAM_TESTS_BAD_H

#include <restream/fetcher.h>
#include <string.h>

#define METADATA                                                              \
  "{\"name\": \"" NAME                                                        \
  "\", \"description\": \"What no plugin should do\", \"id_field\": \"id\", " \
  "\"api_url\": \"http://127.0.0.1:9/\", \"doc_url\": \"https://example.com/\", \"keys\": [], \"poll_interval\": 1}"

#define ONE_ITEM "{\"status_code\": 200, \"result\": [{\"id\": \"1\"}]}"

#ifndef OWN_DESCRIPTOR
#ifdef __cplusplus
extern "C"
#endif
    RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;
#endif

static inline int32_t emit_text(const restream_call* call, const char* text) {
  return call->emit(call, text, strlen(text));
}

static inline void log_text(const restream_call* call, const char* text) {
  call->log(call, RESTREAM_INFO, text, strlen(text));
}

#ifndef OWN_METADATA
int32_t metadata(const restream_call* call) { return emit_text(call, METADATA); }
#endif

#endif
