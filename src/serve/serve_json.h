// Writes JSON into a buffer; commas are its own business.
#ifndef MORAINE_SERVE_JSON_H
#define MORAINE_SERVE_JSON_H

#include "moraine/base/memory.h"

struct serve_json {
    struct mor_buffer *out;
    bool needs_comma;
};

// A name is a constant of the program and NULL inside arrays. Text may hold any bytes: control
// characters are escaped, and so are '<', '>' and '&'; what is not UTF-8 becomes U+FFFD.
void serve_json_open(struct serve_json *json, const char *name, char bracket);
void serve_json_close(struct serve_json *json, char bracket);
void serve_json_text(struct serve_json *json, const char *name, const char *text);
void serve_json_bool(struct serve_json *json, const char *name, bool value);
// MOR_SERVE_UNKNOWN becomes null.
void serve_json_int(struct serve_json *json, const char *name, int64_t value);
// Milliseconds written as seconds: 1234 is 1.234. Unknown becomes null.
void serve_json_seconds(struct serve_json *json, const char *name, int64_t ms);
// One digit after the point; below 0 becomes null.
void serve_json_rate(struct serve_json *json, const char *name, double value);

#endif
