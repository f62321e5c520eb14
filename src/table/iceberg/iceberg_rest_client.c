#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "iceberg_rest.h"
#include "moraine/base/clock.h"
#include "moraine/net.h"

#define TOKEN_LIFE_DEFAULT_S 3600
#define HEADERS_MAX          6

struct iceberg_rest {
    struct mor_http_client *http;
    char *name, *uri, *warehouse, *credential, *scope, *oauth2_server_uri;
    char *token;            // NULL = none, or the next one is asked for
    char *table_token;      // of the table alone; goes before `token`
    int64_t token_until_ms; // monotonic; 0 = for ever
    bool configured, idempotency;
    char *prefix, *separator;
};

static char *copy(const char *text)
{
    return text ? mor_strdup(text) : NULL;
}

// Overwritten before it is freed.
static void forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

static char *without_slash(const char *uri)
{
    char *text = mor_strdup(uri);
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/')
        text[--length] = '\0';
    return text;
}

enum mor_status iceberg_rest_new(const struct iceberg_rest_options *options,
                                 struct iceberg_rest **ret_rest, struct mor_error *err)
{
    const struct mor_http_options http = {
        .ca_location = options->ca_location,
        .timeout_ms = options->timeout_ms,
        .response_size_max_bytes = ICEBERG_METADATA_BYTES_MAX,
    };
    if (strncmp(options->uri, "http://", 7) != 0 && strncmp(options->uri, "https://", 8) != 0)
        return mor_error_set(err, MOR_FATAL,
                             "catalog '%s': its uri must begin with http:// or "
                             "https://",
                             options->name);
    if (options->credential && !strchr(options->credential, ':'))
        return mor_error_set(err, MOR_FATAL, "catalog '%s': a credential has the form id:secret",
                             options->name);
    struct iceberg_rest *rest = mor_calloc(1, sizeof *rest);
    enum mor_status status = mor_http_client_new(&http, &rest->http, err);
    if (status != MOR_OK) {
        free(rest);
        return status;
    }
    rest->name = mor_strdup(options->name);
    rest->uri = without_slash(options->uri);
    rest->warehouse = copy(options->warehouse);
    rest->token = options->credential ? NULL : copy(options->token);
    rest->credential = copy(options->credential);
    rest->scope = copy(options->scope ? options->scope : "catalog");
    rest->oauth2_server_uri = options->oauth2_server_uri
                                  ? mor_strdup(options->oauth2_server_uri)
                                  : mor_asprintf("%s/v1/oauth/tokens", rest->uri);
    rest->separator = mor_strdup("%1F");
    *ret_rest = rest;
    return MOR_OK;
}

void iceberg_rest_free(struct iceberg_rest *rest)
{
    if (!rest)
        return;
    mor_http_client_free(rest->http);
    forget(&rest->credential);
    forget(&rest->token);
    forget(&rest->table_token);
    free(rest->name);
    free(rest->uri);
    free(rest->warehouse);
    free(rest->scope);
    free(rest->oauth2_server_uri);
    free(rest->prefix);
    free(rest->separator);
    free(rest);
}

bool iceberg_rest_has_idempotency(const struct iceberg_rest *rest)
{
    return rest->idempotency;
}

const char *iceberg_rest_separator(const struct iceberg_rest *rest)
{
    return rest->separator;
}

void iceberg_rest_segment(struct mor_buffer *path, const char *text)
{
    mor_http_escape(text, strlen(text), path);
}

// ---- answers ------------------------------------------------------------------------------------

void iceberg_answer_done(struct iceberg_answer *answer)
{
    json_decref(answer->body);
    *answer = (struct iceberg_answer){0};
}

// Text of the server for a message of ours: short, and nothing that a terminal would obey.
static void take_text(char *target, size_t capacity, const char *text)
{
    size_t at = 0;
    for (; text[at] != '\0' && at + 1 < capacity; at++)
        target[at] = iscntrl((unsigned char)text[at]) ? ' ' : text[at];
    while (at > 0 && text[at] != '\0' && ((unsigned char)target[at - 1] & 0x80))
        at--; // no half of a character
    target[at] = '\0';
}

static void take_answer(const struct mor_http_response *response, struct iceberg_answer *answer)
{
    json_error_t ignored;
    size_t size = 0;
    *answer = (struct iceberg_answer){.code = response->code};
    if (response->body.size_bytes > 0)
        answer->body = json_loadb((const char *)response->body.data, response->body.size_bytes,
                                  JSON_REJECT_DUPLICATES, &ignored);
    const char *wait = mor_http_header(response, "Retry-After", &size);
    for (size_t i = 0; wait && i < size && isdigit((unsigned char)wait[i]); i++) {
        if (answer->retry_after_ms < 3600 * 1000)
            answer->retry_after_ms = answer->retry_after_ms * 10 + (wait[i] - '0') * 1000;
    }
    if (response->code < 300)
        return;
    const json_t *error = json_object_get(answer->body, "error");
    const char *message = iceberg_json_text(error, "message");
    const char *type = iceberg_json_text(error, "type");
    if (type)
        take_text(answer->type, sizeof answer->type, type);
    if (message)
        take_text(answer->message, sizeof answer->message, message);
    else
        snprintf(answer->message, sizeof answer->message, "HTTP %d", (int)response->code);
}

// ---- tokens -------------------------------------------------------------------------------------

static void put_form(struct mor_buffer *form, const char *name, const char *value,
                     size_t value_length)
{
    mor_buffer_printf(form, "%s%s=", form->size_bytes > 0 ? "&" : "", name);
    mor_http_escape(value, value_length, form);
}

static enum mor_status take_token(struct iceberg_rest *rest, const json_t *body,
                                  struct mor_error *err)
{
    const char *token = iceberg_json_text(body, "access_token");
    if (!token)
        return mor_error_set(err, MOR_FATAL, "the answer of %s holds no access_token",
                             rest->oauth2_server_uri);
    int64_t life_s = iceberg_json_int(body, "expires_in", TOKEN_LIFE_DEFAULT_S);
    forget(&rest->token);
    rest->token = mor_strdup(token);
    // a new one before the old one ends
    rest->token_until_ms = mor_clock_mono_ms() + (life_s < 1 ? 1 : life_s) * 800;
    return MOR_OK;
}

// OAuth2's client credentials (RFC 6749, section 4.4).
static enum mor_status fetch_token(struct iceberg_rest *rest, struct mor_error *err)
{
    MOR_AUTO_BUFFER form = {0};
    const char *colon = strchr(rest->credential, ':');
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded"};
    put_form(&form, "grant_type", "client_credentials", strlen("client_credentials"));
    put_form(&form, "client_id", rest->credential, (size_t)(colon - rest->credential));
    put_form(&form, "client_secret", colon + 1, strlen(colon + 1));
    put_form(&form, "scope", rest->scope, strlen(rest->scope));
    const struct mor_http_request request = {
        .method = "POST",
        .url = rest->oauth2_server_uri,
        .headers = headers,
        .header_count = 1,
        .body = form.data,
        .body_size_bytes = form.size_bytes,
    };
    struct mor_http_response response = {0};
    enum mor_status status = mor_http_send(rest->http, &request, &response, err);
    explicit_bzero(form.data, form.size_bytes);
    if (status == MOR_UNKNOWN)
        err->status = status = MOR_RETRY; // another token does no harm
    if (status == MOR_OK) {
        ICEBERG_AUTO_ANSWER answer = {0};
        take_answer(&response, &answer);
        if (answer.code == 200)
            status = take_token(rest, answer.body, err);
        else
            status =
                mor_error_set(err, answer.code >= 500 || answer.code == 429 ? MOR_RETRY : MOR_FATAL,
                              "%s gives no token: %s", rest->oauth2_server_uri, answer.message);
    }
    mor_http_response_done(&response);
    return status;
}

static enum mor_status ensure_token(struct iceberg_rest *rest, struct mor_error *err)
{
    if (!rest->credential)
        return MOR_OK;
    if (rest->token && mor_clock_mono_ms() < rest->token_until_ms)
        return MOR_OK;
    return fetch_token(rest, err);
}

void iceberg_rest_take_table_token(struct iceberg_rest *rest, const json_t *loaded)
{
    const char *token = iceberg_json_text(json_object_get(loaded, "config"), "token");
    if (!token)
        return;
    forget(&rest->table_token);
    rest->table_token = mor_strdup(token);
}

// ---- requests -----------------------------------------------------------------------------------

static enum mor_status send_once(struct iceberg_rest *rest, const char *method, const char *url,
                                 const struct mor_buffer *body, const char *idempotency_key,
                                 struct iceberg_answer *ret_answer, struct mor_error *err)
{
    const char *headers[HEADERS_MAX];
    size_t count = 0;
    MOR_AUTO_FREE char *authorization = NULL;
    MOR_AUTO_FREE char *key = NULL;
    const char *token = rest->table_token ? rest->table_token : rest->token;
    headers[count++] = "Accept: application/json";
    headers[count++] = "X-Iceberg-Access-Delegation: vended-credentials";
    if (body)
        headers[count++] = "Content-Type: application/json";
    if (token)
        headers[count++] = authorization = mor_asprintf("Authorization: Bearer %s", token);
    if (idempotency_key)
        headers[count++] = key = mor_asprintf("Idempotency-Key: %s", idempotency_key);
    const struct mor_http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = count,
        .body = body ? body->data : NULL,
        .body_size_bytes = body ? body->size_bytes : 0,
    };
    struct mor_http_response response = {0};
    enum mor_status status = mor_http_send(rest->http, &request, &response, err);
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    if (status == MOR_OK)
        take_answer(&response, ret_answer);
    mor_http_response_done(&response);
    if (status == MOR_DATA && body) // it was received, and what became of it is not known
        err->status = status = MOR_UNKNOWN;
    return status;
}

// Sends, and once more with a new token when the server refuses the one that there is.
static enum mor_status send_with_token(struct iceberg_rest *rest, const char *method,
                                       const char *url, const struct mor_buffer *body,
                                       const char *idempotency_key,
                                       struct iceberg_answer *ret_answer, struct mor_error *err)
{
    MOR_TRY(ensure_token(rest, err));
    MOR_TRY(send_once(rest, method, url, body, idempotency_key, ret_answer, err));
    bool refused = ret_answer->code == 401 || ret_answer->code == 419;
    if (!refused || (!rest->credential && !rest->table_token))
        return MOR_OK;
    iceberg_answer_done(ret_answer);
    forget(&rest->table_token);
    if (rest->credential)
        MOR_TRY(fetch_token(rest, err));
    return send_once(rest, method, url, body, idempotency_key, ret_answer, err);
}

// ---- configuration ------------------------------------------------------------------------------

static const char *setting(const json_t *config, const char *key)
{
    const char *text = iceberg_json_text(json_object_get(config, "overrides"), key);
    return text ? text : iceberg_json_text(json_object_get(config, "defaults"), key);
}

static void take_config(struct iceberg_rest *rest, const json_t *config)
{
    const char *prefix = setting(config, "prefix");
    const char *separator = setting(config, "namespace-separator");
    const char *uri = iceberg_json_text(json_object_get(config, "overrides"), "uri");
    free(rest->prefix);
    rest->prefix = prefix && *prefix ? mor_strdup(prefix) : NULL;
    if (separator && *separator) {
        free(rest->separator);
        rest->separator = mor_strdup(separator);
    }
    if (uri && strncmp(uri, "http", 4) == 0) {
        free(rest->uri);
        rest->uri = without_slash(uri);
    }
    rest->idempotency = json_object_get(config, "idempotency-key-lifetime") != NULL;
    rest->configured = true;
}

static enum mor_status ensure_config(struct iceberg_rest *rest, struct mor_error *err)
{
    if (rest->configured)
        return MOR_OK;
    MOR_AUTO_BUFFER url = {0};
    ICEBERG_AUTO_ANSWER answer = {0};
    mor_buffer_printf(&url, "%s/v1/config", rest->uri);
    if (rest->warehouse) {
        mor_buffer_append_text(&url, "?warehouse=");
        mor_http_escape(rest->warehouse, strlen(rest->warehouse), &url);
    }
    MOR_TRY(send_with_token(rest, "GET", mor_buffer_terminate(&url), NULL, NULL, &answer, err));
    if (answer.code == 200 && json_is_object(answer.body)) {
        take_config(rest, answer.body);
        return MOR_OK;
    }
    if (answer.code >= 500 || answer.code == 429)
        return mor_error_set(err, MOR_RETRY, "it gives no configuration: %s", answer.message);
    return mor_error_set(err, MOR_FATAL, "%s is no Iceberg REST catalog for us: %s", rest->uri,
                         answer.code == 200 ? "its configuration is no JSON" : answer.message);
}

enum mor_status iceberg_rest_prepare(struct iceberg_rest *rest, struct mor_error *err)
{
    return ensure_config(rest, err) == MOR_OK ? MOR_OK
                                              : mor_error_wrap(err, "catalog '%s'", rest->name);
}

enum mor_status iceberg_rest_send(struct iceberg_rest *rest, const char *method, const char *path,
                                  const struct mor_buffer *body, const char *idempotency_key,
                                  struct iceberg_answer *ret_answer, struct mor_error *err)
{
    struct iceberg_answer answer = {0};
    MOR_AUTO_BUFFER url = {0};
    mor_buffer_printf(&url, "%s/v1/%s%s%s", rest->uri, rest->prefix ? rest->prefix : "",
                      rest->prefix ? "/" : "", path);
    if (send_with_token(rest, method, mor_buffer_terminate(&url), body,
                        rest->idempotency ? idempotency_key : NULL, &answer, err) != MOR_OK)
        return mor_error_wrap(err, "catalog '%s'", rest->name);
    *ret_answer = answer;
    return MOR_OK;
}
