// A client of the Iceberg REST catalog: configuration, tokens, requests and the classes of answers.
// Private to the REST catalog.
#ifndef MORAINE_TABLE_ICEBERG_REST_H
#define MORAINE_TABLE_ICEBERG_REST_H

#include "iceberg_catalog.h"
#include "iceberg_json.h"

// Secrets (token, credential, what the server vends) live in memory only and are in no message.
struct iceberg_rest;
enum mor_status iceberg_rest_new(const struct iceberg_rest_options *options,
                                 struct iceberg_rest **ret_rest, struct mor_error *err) MOR_CHECKED;
void iceberg_rest_free(struct iceberg_rest *rest);

struct iceberg_answer {
    int32_t code;
    json_t *body;           // NULL = empty, or no JSON
    char message[400];      // what the server says of an error, else the code
    char type[80];          // of the server's exception; "" = not said
    int64_t retry_after_ms; // 0 = not said
};
void iceberg_answer_done(struct iceberg_answer *answer);
static inline void iceberg_answer_cleanup(struct iceberg_answer *answer)
{
    iceberg_answer_done(answer);
}
#define ICEBERG_AUTO_ANSWER __attribute__((cleanup(iceberg_answer_cleanup))) struct iceberg_answer

// Asks for token and configuration unless they are there; the calls below need it. RETRY, FATAL.
enum mor_status iceberg_rest_prepare(struct iceberg_rest *rest, struct mor_error *err) MOR_CHECKED;
// Sends a request below the catalog's prefix ("namespaces/...", percent-encoded); `body` NULL =
// none, and sent as it is, byte for byte, again with a new token when the server says that the old
// one is not valid any more. MOR_OK for any answer; RETRY: nothing was sent, or there is no token
// now; UNKNOWN: it may have been received; FATAL.
enum mor_status iceberg_rest_send(struct iceberg_rest *rest, const char *method, const char *path,
                                  const struct mor_buffer *body, const char *idempotency_key,
                                  struct iceberg_answer *ret_answer,
                                  struct mor_error *err) MOR_CHECKED;
// A token that the answer to a load gives for the table alone.
void iceberg_rest_take_table_token(struct iceberg_rest *rest, const json_t *loaded);
// Whether the server says that it knows Idempotency-Key.
bool iceberg_rest_has_idempotency(const struct iceberg_rest *rest);
// Separator of namespace levels in paths, already encoded ("%1F").
const char *iceberg_rest_separator(const struct iceberg_rest *rest);

// Appends a path segment, percent-encoded.
void iceberg_rest_segment(struct mor_buffer *path, const char *text);

#endif
