#include "serve_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "moraine/base/utf8.h"
#include "moraine/serve.h"
#include "serve_text.h"

static void begin(struct serve_json *json, const char *name)
{
    if (json->needs_comma)
        mor_buffer_append_u8(json->out, ',');
    json->needs_comma = true;
    if (name != NULL)
        mor_buffer_printf(json->out, "\"%s\":", name);
}

void serve_json_open(struct serve_json *json, const char *name, char bracket)
{
    begin(json, name);
    mor_buffer_append_u8(json->out, (uint8_t)bracket);
    json->needs_comma = false;
}

void serve_json_close(struct serve_json *json, char bracket)
{
    mor_buffer_append_u8(json->out, (uint8_t)bracket);
    json->needs_comma = true;
}

// '<', '>' and '&' too: whoever pastes the answer into a page shall not be surprised.
static bool needs_escape(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\' || byte == '<' || byte == '>' ||
           byte == '&' || byte == 0x7f;
}

void serve_json_text(struct serve_json *json, const char *name, const char *text)
{
    begin(json, name);
    mor_buffer_append_u8(json->out, '"');
    const uint8_t *at = (const uint8_t *)text;
    while (*at != 0) {
        size_t length = mor_utf8_length(at);
        if (length == 0) {
            mor_buffer_append_text(json->out, "\\ufffd");
            at++;
        } else if (length == 1 && needs_escape(*at)) {
            mor_buffer_printf(json->out, "\\u%04x", *at);
            at++;
        } else {
            mor_buffer_append(json->out, at, length);
            at += length;
        }
    }
    mor_buffer_append_u8(json->out, '"');
}

void serve_json_bool(struct serve_json *json, const char *name, bool value)
{
    begin(json, name);
    mor_buffer_append_text(json->out, value ? "true" : "false");
}

void serve_json_int(struct serve_json *json, const char *name, int64_t value)
{
    begin(json, name);
    if (value == MOR_SERVE_UNKNOWN)
        mor_buffer_append_text(json->out, "null");
    else
        mor_buffer_printf(json->out, "%" PRId64, value);
}

void serve_json_seconds(struct serve_json *json, const char *name, int64_t ms)
{
    begin(json, name);
    if (ms == MOR_SERVE_UNKNOWN)
        mor_buffer_append_text(json->out, "null");
    else
        serve_append_seconds(json->out, ms);
}

void serve_json_rate(struct serve_json *json, const char *name, double value)
{
    begin(json, name);
    if (value < 0)
        mor_buffer_append_text(json->out, "null");
    else
        mor_buffer_printf(json->out, "%.1f", value);
}
