// Small things about text that JSON, metrics and words share.
#ifndef MORAINE_SERVE_TEXT_H
#define MORAINE_SERVE_TEXT_H

#include "moraine/base/memory.h"

// 1234 becomes "1.234", 1000 "1.0", -5 "-0.005".
void serve_append_seconds(struct mor_buffer *out, int64_t ms);
// "2026-01-02T03:04:05Z"; capacity at least 40.
void serve_format_time(int64_t time_ms, char *ret_text, size_t capacity);
// Whether both texts are the same, in a time that depends on the length of `given` only.
bool serve_secret_equals(const char *given, const char *secret);

#endif
