/*
 * The restream fetcher contract, binary form. C11; needs nothing but the three standard headers below.
 *
 * A fetcher plugin is a shared library that exports three symbols:
 *
 *   const restream_fetcher_descriptor restream_fetcher;      which contract it was built for
 *   int32_t metadata(const restream_call *call);             says what it fetches
 *   int32_t fetch(const restream_call *call);                asks the API once and says what it answered
 *
 * restream loads the library in a process of its own, never in the daemon. It reads the descriptor before it calls
 * anything. Both functions read JSON from call->request and push JSON through call->emit. They return RESTREAM_OK, or
 * any other number to say that they could not do their work (call->log tells people why).
 *
 * Threads: fetch() is called on many threads at once, with a call of its own for each. It must keep no state between
 * calls. Everything reached through a call belongs to that call: use it on the thread it arrived on (cancelled() is the
 * exception: any thread) and not after return.
 *
 * C++ authors include <restream/fetcher.hpp> instead.
 */
#ifndef RESTREAM_FETCHER_H
#define RESTREAM_FETCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A plugin runs where the major version is its own and the minor version is not older than its own. */
#define RESTREAM_ABI_MAJOR 1
#define RESTREAM_ABI_MINOR 0
#define RESTREAM_SDK_VERSION "0.1.0"

/* The first eight bytes of a descriptor. */
#define RESTREAM_FETCHER_MAGIC {'r', 'e', 's', 't', 'r', 'e', 'a', 'm'}

/* Constant data; the host checks it before any call. */
typedef struct restream_fetcher_descriptor {
  char magic[8];        /* RESTREAM_FETCHER_MAGIC */
  uint32_t size;        /* sizeof(restream_fetcher_descriptor) */
  uint16_t abi_major;   /* RESTREAM_ABI_MAJOR */
  uint16_t abi_minor;   /* RESTREAM_ABI_MINOR */
  uint32_t flags;       /* 0 */
  char sdk_version[16]; /* RESTREAM_SDK_VERSION, ends with NUL */
} restream_fetcher_descriptor;

/* What the functions below return. New codes may follow: treat an unknown one as RESTREAM_FAILED. */
enum {
  RESTREAM_OK = 0,
  RESTREAM_FAILED = 1,      /* nothing more is known */
  RESTREAM_BAD_REQUEST = 2, /* the arguments make no sense: an empty URL, a header with a line end */
  RESTREAM_REFUSED = 3,     /* not allowed: another origin, a private address, a redirect elsewhere */
  RESTREAM_UNREACHABLE = 4, /* no connection, or it broke off */
  RESTREAM_TIMEOUT = 5,     /* the time for HTTP in this call is over */
  RESTREAM_TOO_LARGE = 6,   /* the answer, or what was emitted, passes the limit */
  RESTREAM_CANCELLED = 7    /* nobody waits for this call any more */
};

/* Levels for log(). */
enum { RESTREAM_DEBUG = 0, RESTREAM_INFO = 1, RESTREAM_WARNING = 2, RESTREAM_ERROR = 3 };

/* Bytes with a length. Not ended by NUL. Whoever made it owns it. */
typedef struct restream_text {
  const char* data;
  size_t size;
} restream_text;

typedef struct restream_header {
  restream_text name;
  restream_text value;
} restream_header;

/* Owned by the plugin; read only during http(). */
typedef struct restream_http_request {
  uint32_t size; /* sizeof(restream_http_request) */
  uint32_t header_count;
  restream_text method;           /* empty: GET */
  restream_text url;              /* absolute; its origin must be that of api_url */
  const restream_header* headers; /* Host, User-Agent and Accept-Encoding are the daemon's */
  restream_text body;
} restream_http_request;

/* Filled by http(); what it points to is owned by the host and lives until the function that was called returns. */
typedef struct restream_http_response {
  uint32_t size; /* sizeof(restream_http_response), set by the plugin before http() */
  uint32_t header_count;
  int32_t status;                 /* 200, 404 … ; 0 when there was no answer */
  int32_t reserved;               /* 0 */
  const restream_header* headers; /* names in lower case */
  restream_text body;             /* inflated */
  restream_text error;            /* a sentence, when http() did not return RESTREAM_OK; else empty */
} restream_http_response;

/*
 * One call. Append-only: a newer host may hand over a larger one, so compare `size` before you touch a member that came
 * after version 1.0. The host owns it.
 */
typedef struct restream_call restream_call;
struct restream_call {
  uint32_t size;         /* sizeof(restream_call) in the host */
  uint32_t reserved;     /* 0 */
  restream_text request; /* the request, JSON text, UTF-8 */
  int64_t deadline_ns;   /* CLOCK_MONOTONIC; the host process is killed when the call is not back by then */
  void* host;            /* the host's own; hands off */

  /* Appends to the result. The bytes are copied before it returns. RESTREAM_OK or RESTREAM_TOO_LARGE. */
  int32_t (*emit)(const restream_call* call, const char* data, size_t size);

  /* Performs one HTTP request through the daemon and waits for the answer. Any HTTP status is RESTREAM_OK. Its time
   * ends well before deadline_ns. Connections, TLS, redirects within the origin, caching and quotas are the daemon's.
   */
  int32_t (*http)(const restream_call* call, const restream_http_request* request, restream_http_response* response);

  /* A line for the daemon's log, under the plugin's name. UTF-8, copied, cut at 4 KiB. Never log a key. */
  void (*log)(const restream_call* call, int32_t level, const char* data, size_t size);

  /* True once nobody waits for the result: return soon, with anything. */
  bool (*cancelled)(const restream_call* call);
};

#if defined(_WIN32) || !defined(__GNUC__)
#define RESTREAM_EXPORT
#else
#define RESTREAM_EXPORT __attribute__((visibility("default")))
#endif

/* The descriptor of this SDK. In C, once at file scope:
 *   RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE; */
#define RESTREAM_FETCHER_DESCRIPTOR_VALUE                                                                  \
  {RESTREAM_FETCHER_MAGIC, sizeof(restream_fetcher_descriptor), RESTREAM_ABI_MAJOR, RESTREAM_ABI_MINOR, 0, \
   RESTREAM_SDK_VERSION}

RESTREAM_EXPORT int32_t metadata(const restream_call* call);
RESTREAM_EXPORT int32_t fetch(const restream_call* call);

#ifdef __cplusplus
}
#endif

#endif
