/* Finds values in JSON text without copying them: enough for a fetcher that hands on what the API sent. C11, no state. */
#ifndef JSON_H
#define JSON_H

#include <restream/fetcher.h>
#include <stdbool.h>
#include <string.h>

enum { JSON_DEEPEST = 64 }; /* a host's threads have small stacks */

static inline const char *json_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) ++at;
  return at;
}

/* The end of the string that begins at `at`, behind its quote; NULL when it has none. */
static inline const char *json_string_end(const char *at, const char *end) {
  for (++at; at < end; ++at) {
    if (*at == '"') return at + 1;
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at == '\\') ++at;
  }
  return NULL;
}

/* The end of the value that begins at `at`; NULL when there is no whole one. Numbers and words are not looked into. */
static inline const char *json_value_end(const char *at, const char *end, int depth) {
  if (at >= end || depth > JSON_DEEPEST) return NULL;
  if (*at == '"') return json_string_end(at, end);
  if (*at != '{' && *at != '[') {
    const char *begin = at;
    while (at < end && strchr(",]} \t\r\n:\"[{", *at) == NULL) ++at;
    return at == begin ? NULL : at;
  }
  const bool object = *at == '{';
  const char close = object ? '}' : ']';
  at = json_space(at + 1, end);
  if (at < end && *at == close) return at + 1;
  for (;;) {
    if (object) {
      if (at >= end || *at != '"' || (at = json_string_end(at, end)) == NULL) return NULL;
      at = json_space(at, end);
      if (at >= end || *at != ':') return NULL;
      at = json_space(at + 1, end);
    }
    at = json_value_end(at, end, depth + 1);
    if (at == NULL) return NULL;
    at = json_space(at, end);
    if (at >= end) return NULL;
    if (*at == close) return at + 1;
    if (*at != ',') return NULL;
    at = json_space(at + 1, end);
  }
}

/* The one value that `text` is, without the space around it; empty when it is none. */
static inline restream_text json_whole(restream_text text) {
  restream_text none = {NULL, 0};
  if (text.size == 0) return none;
  const char *end = text.data + text.size;
  const char *begin = json_space(text.data, end);
  const char *behind = json_value_end(begin, end, 0);
  if (behind == NULL || json_space(behind, end) != end) return none;
  return (restream_text){begin, (size_t)(behind - begin)};
}

/* The value of a member of an object, as JSON; empty when there is none. Names are compared as they are written. */
static inline restream_text json_member(restream_text object, const char *name) {
  restream_text none = {NULL, 0};
  object = json_whole(object);
  if (object.size == 0 || object.data[0] != '{') return none;
  const char *end = object.data + object.size;
  const char *at = json_space(object.data + 1, end);
  const size_t size = strlen(name);
  while (*at == '"') {
    const char *key = at + 1;
    at = json_string_end(at, end);
    const bool found = (size_t)(at - 1 - key) == size && memcmp(key, name, size) == 0;
    at = json_space(json_space(at, end) + 1, end);
    const char *behind = json_value_end(at, end, 1);
    if (found) return (restream_text){at, (size_t)(behind - at)};
    at = json_space(behind, end);
    if (*at == ',') at = json_space(at + 1, end);
  }
  return none;
}

/* Whether the value is an array. */
static inline bool json_is_list(restream_text value) { return value.size != 0 && value.data[0] == '['; }

/* Appends a JSON string, percent-encoded for a URL, to the NUL-ended text in `out`. False when it is no string, when it
 * has escapes (params that need them are better kept out by a pattern), or when there is no room. */
static inline bool json_append_encoded(restream_text string, char *out, size_t room) {
  static const char digits[] = "0123456789ABCDEF";
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  size_t used = strlen(out);
  if (string.size < 2 || string.data[0] != '"') return false;
  for (size_t i = 1; i + 1 < string.size; ++i) {
    const unsigned char byte = (unsigned char)string.data[i];
    if (byte == '\\' || used + 4 > room) return false;
    if (byte != 0 && strchr(plain, byte) != NULL) {
      out[used++] = (char)byte;
    } else {
      out[used++] = '%';
      out[used++] = digits[byte >> 4U];
      out[used++] = digits[byte & 15U];
    }
    out[used] = '\0';
  }
  return true;
}

#endif
