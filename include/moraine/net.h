// A small HTTP client: one request, one answer in memory.
#ifndef MORAINE_NET_H
#define MORAINE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

#define MOR_HTTP_RESPONSE_SIZE_MAX (64u << 20) // default of response_size_max_bytes

struct mor_http_options {
    const char *username, *password; // basic authentication; NULL = none
    const char *ca_location;         // file of trusted certificates; NULL = the system's
    int64_t timeout_ms;              // of a whole request; 0 = 30 s
    int64_t connect_timeout_ms;      // 0 = the lesser of timeout_ms and 10 s
    size_t response_size_max_bytes;  // body; 0 = MOR_HTTP_RESPONSE_SIZE_MAX
};

struct mor_http_request {
    const char *method;         // NULL = GET
    const char *url;            // http or https; nothing else is spoken
    const char *const *headers; // "Name: value"
    size_t header_count;
    const void *body; // NULL = none
    size_t body_size_bytes;
};

// Zero-initialised is valid; free with mor_http_response_done.
struct mor_http_response {
    int32_t code;              // 200, 404, ...
    struct mor_buffer body;    // zero-terminated (not counted)
    struct mor_buffer headers; // as they came, lines end with CR LF
};

// Keeps connections open between requests. One thread at a time.
struct mor_http_client;
enum mor_status mor_http_client_new(const struct mor_http_options *options,
                                    struct mor_http_client **ret_client,
                                    struct mor_error *err) MOR_CHECKED;
void mor_http_client_free(struct mor_http_client *client);

// Sends a request and waits for the answer. MOR_OK for any answer, whatever its code; redirects are
// not followed. RETRY when there was none (name, connection, time-out); UNKNOWN instead when the
// method is not GET or HEAD and the request may have reached the server; FATAL for what trying
// again cannot change (URL, certificate); DATA when the answer is longer than the limit.
enum mor_status mor_http_send(struct mor_http_client *client,
                              const struct mor_http_request *request,
                              struct mor_http_response *response,
                              struct mor_error *err) MOR_CHECKED;
void mor_http_response_done(struct mor_http_response *response);

// Value of the last header of that name (any case), borrowed from the response; NULL when absent.
const char *mor_http_header(const struct mor_http_response *response, const char *name,
                            size_t *ret_size_bytes);
// Appends `text` with everything but A-Z a-z 0-9 - . _ ~ percent-encoded (RFC 3986, section 2.1).
void mor_http_escape(const char *text, size_t size_bytes, struct mor_buffer *ret_text);

#endif
