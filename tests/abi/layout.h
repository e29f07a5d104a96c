/* What ABI 1.0 looks like in memory on a 64-bit machine. A plugin of today must run in a host of tomorrow: these lines
 * are only ever added to. */
#if UINTPTR_MAX == UINT64_MAX
FIXED(offsetof(restream_fetcher_descriptor, magic) == 0);
FIXED(offsetof(restream_fetcher_descriptor, size) == 8);
FIXED(offsetof(restream_fetcher_descriptor, abi_major) == 12);
FIXED(offsetof(restream_fetcher_descriptor, abi_minor) == 14);
FIXED(offsetof(restream_fetcher_descriptor, flags) == 16);
FIXED(offsetof(restream_fetcher_descriptor, sdk_version) == 20);
FIXED(sizeof(restream_fetcher_descriptor) == 36);

FIXED(offsetof(restream_text, data) == 0);
FIXED(offsetof(restream_text, size) == 8);
FIXED(sizeof(restream_header) == 32);

FIXED(offsetof(restream_http_request, header_count) == 4);
FIXED(offsetof(restream_http_request, method) == 8);
FIXED(offsetof(restream_http_request, url) == 24);
FIXED(offsetof(restream_http_request, headers) == 40);
FIXED(offsetof(restream_http_request, body) == 48);
FIXED(sizeof(restream_http_request) == 64);

FIXED(offsetof(restream_http_response, header_count) == 4);
FIXED(offsetof(restream_http_response, status) == 8);
FIXED(offsetof(restream_http_response, headers) == 16);
FIXED(offsetof(restream_http_response, body) == 24);
FIXED(offsetof(restream_http_response, error) == 40);
FIXED(sizeof(restream_http_response) == 56);

FIXED(offsetof(restream_call, request) == 8);
FIXED(offsetof(restream_call, deadline_ns) == 24);
FIXED(offsetof(restream_call, host) == 32);
FIXED(offsetof(restream_call, emit) == 40);
FIXED(offsetof(restream_call, http) == 48);
FIXED(offsetof(restream_call, log) == 56);
FIXED(offsetof(restream_call, cancelled) == 64);
FIXED(sizeof(restream_call) == 72);
#endif

FIXED(RESTREAM_OK == 0 && RESTREAM_FAILED == 1 && RESTREAM_BAD_REQUEST == 2 && RESTREAM_REFUSED == 3);
FIXED(RESTREAM_UNREACHABLE == 4 && RESTREAM_TIMEOUT == 5 && RESTREAM_TOO_LARGE == 6 && RESTREAM_CANCELLED == 7);
FIXED(RESTREAM_DEBUG == 0 && RESTREAM_INFO == 1 && RESTREAM_WARNING == 2 && RESTREAM_ERROR == 3);
