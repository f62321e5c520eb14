// A REST catalog of one table for tests of what goes wrong: it applies commits as ours does and
// then answers as it was told to.
#ifndef MORAINE_TESTS_REST_MOCK_H
#define MORAINE_TESTS_REST_MOCK_H

#include "iceberg_fixture.h"

// after cmocka's own includes
#include "http_server.h"

enum mock_fault {
    MOCK_NONE,
    MOCK_APPLY_500,   // applied, then 500
    MOCK_APPLY_CLOSE, // applied, and no answer
    MOCK_APPLY_504,   // applied, then a gateway's 504 without JSON
    MOCK_REFUSE_500,  // not applied, 500
    MOCK_REFUSE_503,  // not applied, 503 with Retry-After
    MOCK_CLOSE,       // not applied, and no answer
    MOCK_EXPIRED,     // 401 for the token that the request brings
    MOCK_EXPIRED_419,
    MOCK_SLOW,            // applied, and an answer after the client's patience
    MOCK_TOO_MANY,        // 429
    MOCK_FORBIDDEN,       // 403
    MOCK_OTHER_FIRST,     // somebody else commits before this request
    MOCK_APPLY_500_OTHER, // applied, somebody else commits after it, then 500
};

struct rest_mock {
    struct http_server server;      // first: handlers get it
    struct iceberg_metadata *table; // NULL = not created
    char location[256];             // of a table that is created
    enum mock_fault fault;
    int faults_left; // commits that meet it
    int commits, applied, tokens, namespaces, loads;
    int64_t others; // snapshot ids of somebody else
    char token[32]; // that is valid; "" = none is needed
    bool idempotency;
    char last_key[64];
    bool keys_differ; // two sendings had different ones
    pthread_mutex_t mutex;
};

static inline size_t mock_error(char *answer, size_t capacity, const char *status, const char *type,
                                const char *message)
{
    char body[2048];
    snprintf(body, sizeof body, "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"code\":%d}}",
             message, type, atoi(status));
    return http_answer(answer, capacity, status, body);
}

static inline size_t mock_table(struct rest_mock *mock, char *answer, size_t capacity)
{
    struct mor_buffer text = {0};
    json_t *body =
        json_pack("{s:s, s:O, s:{}}", "metadata-location", mock->table->metadata_location,
                  "metadata", mock->table->document, "config");
    iceberg_json_format(body, &text);
    size_t size = http_answer(answer, capacity, "200 OK", (const char *)text.data);
    mor_buffer_done(&text);
    json_decref(body);
    return size;
}

static inline void mock_take(struct rest_mock *mock, struct iceberg_metadata *take_next)
{
    iceberg_metadata_unref(mock->table);
    mock->table = take_next;
    mock->table->metadata_location =
        mor_asprintf("file:///w/metadata/%05d.metadata.json", mock->applied++);
}

// Whether the requirements held and the updates were applied.
static inline bool mock_apply(struct rest_mock *mock, const json_t *body)
{
    struct iceberg_metadata *next = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    if (iceberg_metadata_apply(mock->table, json_object_get(body, "requirements"),
                               json_object_get(body, "updates"), 1767225600000, &next,
                               &wrong) != MOR_OK)
        return false;
    mock_take(mock, next);
    return true;
}

static inline void mock_commit_of_other(struct rest_mock *mock)
{
    struct iceberg_change change;
    fixture_append(&change, mock->table, 900000 + mock->others++);
    json_t *body =
        json_pack("{s:O, s:O}", "requirements", change.requirements, "updates", change.updates);
    assert_true(mock_apply(mock, body));
    json_decref(body);
    iceberg_change_done(&change);
}

static inline void mock_note_key(struct rest_mock *mock, const char *request)
{
    const char *key = strcasestr(request, "\r\nidempotency-key:");
    char text[64] = "";
    if (key)
        sscanf(key + 18, " %60[0-9a-f-]", text);
    mock->keys_differ |= mock->last_key[0] != '\0' && strcmp(mock->last_key, text) != 0;
    snprintf(mock->last_key, sizeof mock->last_key, "%s", text);
}

static inline size_t mock_commit(struct rest_mock *mock, const char *request, const json_t *body,
                                 char *answer, size_t capacity)
{
    enum mock_fault fault = mock->faults_left > 0 ? mock->fault : MOCK_NONE;
    mock->commits++;
    mock->faults_left -= mock->faults_left > 0 ? 1 : 0;
    mock_note_key(mock, request);
    switch (fault) {
    case MOCK_REFUSE_500:
        return mock_error(answer, capacity, "500 Oh", "CommitStateUnknownException", "no");
    case MOCK_REFUSE_503:
        return (size_t)snprintf(answer, capacity,
                                "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n");
    case MOCK_CLOSE:
        return 0;
    case MOCK_EXPIRED:
    case MOCK_EXPIRED_419:
        snprintf(mock->token, sizeof mock->token, "token-%d", mock->tokens + 1);
        return mock_error(answer, capacity, fault == MOCK_EXPIRED ? "401 No" : "419 Old",
                          "NotAuthorizedException", "the token has expired");
    case MOCK_TOO_MANY:
        return mock_error(answer, capacity, "429 Slowly", "TooManyRequestsException", "slowly");
    case MOCK_FORBIDDEN:
        return mock_error(answer, capacity, "403 No", "ForbiddenException", "not yours");
    case MOCK_OTHER_FIRST:
        mock_commit_of_other(mock);
        break;
    default:
        break;
    }
    if (!mock_apply(mock, body))
        return mock_error(answer, capacity, "409 Conflict", "CommitFailedException",
                          "a requirement does not hold");
    if (fault == MOCK_APPLY_500_OTHER)
        mock_commit_of_other(mock);
    if (fault == MOCK_APPLY_500 || fault == MOCK_APPLY_500_OTHER)
        return mock_error(answer, capacity, "500 Oh", "RuntimeException", "lost my mind");
    if (fault == MOCK_APPLY_504)
        return http_answer(answer, capacity, "504 Gateway Timeout", "<html>slow</html>");
    if (fault == MOCK_APPLY_CLOSE)
        return 0;
    if (fault == MOCK_SLOW)
        usleep(700 * 1000);
    return mock_table(mock, answer, capacity);
}

static inline size_t mock_create(struct rest_mock *mock, const json_t *body, char *answer,
                                 size_t capacity)
{
    const json_t *properties = json_object_get(body, "properties");
    const struct iceberg_creation creation = {
        .format_version = atoi(iceberg_json_text(properties, "format-version")),
        .location = mock->location,
        .schema = json_object_get(body, "schema"),
        .spec = json_object_get(body, "partition-spec"),
        .properties = properties,
    };
    struct iceberg_metadata *table = NULL;
    struct mor_error wrong = MOR_ERROR_INIT;
    if (mock->table)
        return mock_error(answer, capacity, "409 Conflict", "AlreadyExistsException", "is there");
    if (iceberg_metadata_create(&creation, 1767225600000, &table, &wrong) != MOR_OK)
        return mock_error(answer, capacity, "400 Bad", "BadRequestException", wrong.message);
    mock_take(mock, table);
    return mock_table(mock, answer, capacity);
}

static inline size_t mock_token(struct rest_mock *mock, const char *request, char *answer,
                                size_t capacity)
{
    char body[128];
    if (!strstr(request, "grant_type=client_credentials&client_id=me&client_secret=s%3Acret"))
        return mock_error(answer, capacity, "401 No", "invalid_client", "who are you");
    snprintf(mock->token, sizeof mock->token, "token-%d", ++mock->tokens);
    snprintf(body, sizeof body,
             "{\"access_token\":\"%s\",\"token_type\":\"bearer\",\"expires_in\":3600}",
             mock->token);
    return http_answer(answer, capacity, "200 OK", body);
}

static inline bool mock_is_authorised(const struct rest_mock *mock, const char *request)
{
    char header[64];
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", mock->token);
    return mock->token[0] == '\0' || strstr(request, header) != NULL;
}

static inline size_t mock_answer(struct rest_mock *mock, const char *request, char *answer,
                                 size_t capacity)
{
    static const char table[] = "/v1/pre/namespaces/a%1Fb/tables";
    const char *text = strstr(request, "\r\n\r\n");
    json_t *body = json_loads(text ? text + 4 : "", 0, NULL);
    const char *path = strchr(request, ' ');
    bool is_get = strncmp(request, "GET ", 4) == 0;
    size_t size = 0;
    path = path ? path + 1 : "";
    if (strncmp(path, "/v1/oauth/tokens", 16) == 0)
        size = mock_token(mock, request, answer, capacity);
    else if (!mock_is_authorised(mock, request))
        size = mock_error(answer, capacity, "401 No", "NotAuthorizedException", "token please");
    else if (strncmp(path, "/v1/config?warehouse=w%2F1 ", 27) == 0)
        size =
            http_answer(answer, capacity, "200 OK",
                        mock->idempotency ? "{\"defaults\":{},\"overrides\":{\"prefix\":\"pre\"},"
                                            "\"idempotency-key-lifetime\":\"PT30M\"}"
                                          : "{\"defaults\":{\"prefix\":\"pre\"},\"overrides\":{}}");
    else if (strncmp(path, "/v1/pre/namespaces ", 19) == 0)
        size = ++mock->namespaces > 1
                   ? mock_error(answer, capacity, "409 There", "AlreadyExistsException", "there")
                   : http_answer(answer, capacity, "200 OK", "{\"namespace\":[\"a\"]}");
    else if (strncmp(path, table, sizeof table - 1) != 0)
        size = http_answer(answer, capacity, "404 Not Found", "nothing here");
    else if (path[sizeof table - 1] == ' ')
        size = mock_create(mock, body, answer, capacity);
    else if (!mock->table)
        size = mock_error(answer, capacity, "404 Not Found", "NoSuchTableException", "no table");
    else if (is_get && ++mock->loads > 0)
        size = mock_table(mock, answer, capacity);
    else
        size = mock_commit(mock, request, body, answer, capacity);
    json_decref(body);
    return size;
}

static inline size_t mock_handle(struct http_server *server, const char *request, char *answer,
                                 size_t capacity)
{
    struct rest_mock *mock = (struct rest_mock *)server;
    pthread_mutex_lock(&mock->mutex);
    size_t size = mock_answer(mock, request, answer, capacity);
    pthread_mutex_unlock(&mock->mutex);
    return size;
}

static inline void mock_start(struct rest_mock *mock, const char *location)
{
    *mock = (struct rest_mock){0};
    snprintf(mock->location, sizeof mock->location, "%s", location);
    pthread_mutex_init(&mock->mutex, NULL);
    http_server_start(&mock->server, mock_handle);
}

static inline void mock_stop(struct rest_mock *mock)
{
    http_server_stop(&mock->server);
    iceberg_metadata_unref(mock->table);
    pthread_mutex_destroy(&mock->mutex);
}

#endif
