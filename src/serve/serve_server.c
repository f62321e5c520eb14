// The HTTP server: libmicrohttpd around the reports. Everything about one request happens in the
// server's one thread, and nothing there waits: answers come from the sampler's newest view.

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "serve_assets.h"
#include "serve_guard.h"
#include "serve_json.h"
#include "serve_listen.h"
#include "serve_metrics.h"
#include "serve_report.h"
#include "serve_sample.h"
#include "serve_text.h"

#define CONNECTIONS_MAX      256
#define CONNECTION_MEMORY    (16u << 10) // request line and headers must fit: otherwise 431 or 414
#define CONNECTION_TIMEOUT_S 15u         // of silence
#define REQUEST_MAX_MS       30000       // from its first byte, or the connection, to its answer
#define BODY_MAX_BYTES       4096        // verbs take none; what curl -d sends is read and dropped
#define STALL_AFTER_MS       30000
#define TOPIC_STALL_AFTER_MS 600000 // one commit to slow storage may take long

struct mor_serve {
    struct mor_serve_options options; // without its texts
    char *token;                      // NULL = POST is refused
    char url[320];
    struct serve_guard *guard;
    struct serve_sampler *sampler;
    struct MHD_Daemon *daemon;
};

struct answer {
    unsigned status;
    const char *type;
    struct mor_buffer body;          // or
    const struct serve_asset *asset; // a file of the page
    const char *allow;               // 405: the methods
    bool challenge;                  // 401
};

static const char json_type[] = "application/json";
static const char text_type[] = "text/plain; charset=utf-8";

// ---- answers ------------------------------------------------------------------------------------

// {"error":"..."} or {"result":"..."}
static void say(struct answer *answer, unsigned status, const char *name, const char *words)
{
    mor_buffer_reset(&answer->body);
    struct serve_json json = {.out = &answer->body};
    serve_json_open(&json, NULL, '{');
    serve_json_text(&json, name, words);
    serve_json_close(&json, '}');
    mor_buffer_append_u8(&answer->body, '\n');
    answer->status = status;
    answer->type = json_type;
}

static void report(struct mor_serve *serve, struct answer *answer,
                   void (*write)(const struct serve_view *view, struct mor_buffer *out))
{
    struct serve_view *view = serve_sampler_view(serve->sampler);
    write(view, &answer->body);
    serve_view_unref(view);
    answer->type = json_type;
}

static void get_status(struct mor_serve *serve, struct MHD_Connection *connection,
                       struct answer *answer)
{
    (void)connection;
    report(serve, answer, serve_report_status);
}

static void get_lag(struct mor_serve *serve, struct MHD_Connection *connection,
                    struct answer *answer)
{
    (void)connection;
    report(serve, answer, serve_report_lag);
}

static void get_readyz(struct mor_serve *serve, struct MHD_Connection *connection,
                       struct answer *answer)
{
    (void)connection;
    struct serve_view *view = serve_sampler_view(serve->sampler);
    serve_report_readiness(view, &answer->body);
    answer->status = view->ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer->type = json_type;
    serve_view_unref(view);
}

static bool say_liveness(const struct mor_serve *serve, struct mor_buffer *words)
{
    struct serve_view *view = serve_sampler_view(serve->sampler);
    bool live = serve_report_liveness(view, mor_clock_mono_ms(), serve->options.stall_after_ms,
                                      serve->options.topic_stall_after_ms, words);
    serve_view_unref(view);
    return live;
}

bool mor_serve_is_live(const struct mor_serve *serve)
{
    MOR_AUTO_BUFFER words = {0};
    return say_liveness(serve, &words);
}

static void get_livez(struct mor_serve *serve, struct MHD_Connection *connection,
                      struct answer *answer)
{
    (void)connection;
    answer->status =
        say_liveness(serve, &answer->body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer->type = text_type;
}

static void write_history(const struct serve_memory *memory, void *context)
{
    serve_report_history(memory, context);
}

static void get_history(struct mor_serve *serve, struct MHD_Connection *connection,
                        struct answer *answer)
{
    (void)connection;
    serve_sampler_memory(serve->sampler, write_history, &answer->body);
    answer->type = json_type;
}

static void get_metrics(struct mor_serve *serve, struct MHD_Connection *connection,
                        struct answer *answer)
{
    // OpenMetrics unless the client names the older format and not this one
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool old = accept != NULL && strcasestr(accept, "application/openmetrics-text") == NULL &&
               strcasestr(accept, "text/plain") != NULL;
    struct serve_view *view = serve_sampler_view(serve->sampler);
    serve_metrics_write(view, old ? SERVE_METRICS_PROMETHEUS : SERVE_METRICS_OPENMETRICS,
                        &answer->body);
    serve_view_unref(view);
    answer->type = old ? serve_metrics_prometheus_type : serve_metrics_openmetrics_type;
}

static const struct {
    const char *path;
    void (*get)(struct mor_serve *serve, struct MHD_Connection *connection, struct answer *answer);
} routes[] = {{"/livez", get_livez},     {"/readyz", get_readyz}, {"/lag", get_lag},
              {"/metrics", get_metrics}, {"/status", get_status}, {"/history", get_history}};

// ---- verbs --------------------------------------------------------------------------------------

static const char *const verb_names[] = {[MOR_SERVE_PAUSE] = "pause",
                                         [MOR_SERVE_RESUME] = "resume",
                                         [MOR_SERVE_FLUSH] = "flush",
                                         [MOR_SERVE_COMPACT] = "compact"};

struct command {
    char topic[256]; // Kafka's own limit is 249
    enum mor_serve_verb verb;
};

// Whether the path is /topics/{topic}/{verb}.
static bool parse_command(const char *path, struct command *ret_command)
{
    static const char prefix[] = "/topics/";
    if (strncmp(path, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *topic = path + sizeof prefix - 1;
    const char *slash = strchr(topic, '/');
    if (slash == NULL || slash == topic || (size_t)(slash - topic) >= sizeof ret_command->topic)
        return false;
    for (size_t i = 0; i < sizeof verb_names / sizeof verb_names[0]; i++) {
        if (strcmp(slash + 1, verb_names[i]) != 0)
            continue;
        memcpy(ret_command->topic, topic, (size_t)(slash - topic));
        ret_command->topic[slash - topic] = '\0';
        ret_command->verb = (enum mor_serve_verb)i;
        return true;
    }
    return false;
}

// True when the request carries the token; otherwise the answer says what is missing.
static bool is_allowed(const struct mor_serve *serve, struct MHD_Connection *connection,
                       struct answer *answer)
{
    if (serve->token == NULL) {
        say(answer, MHD_HTTP_FORBIDDEN, "error",
            "no token is configured (http.token), so nothing can be changed over HTTP");
        return false;
    }
    static const char scheme[] = "Bearer ";
    const char *given =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (given != NULL && strncasecmp(given, scheme, sizeof scheme - 1) == 0 &&
        serve_secret_equals(given + sizeof scheme - 1, serve->token))
        return true;
    say(answer, MHD_HTTP_UNAUTHORIZED, "error",
        given == NULL ? "this needs the header 'Authorization: Bearer <token>'"
                      : "the token is not the configured one");
    answer->challenge = true;
    return false;
}

static void carry_out(struct mor_serve *serve, struct MHD_Connection *connection,
                      const struct command *command, struct answer *answer)
{
    const char *verb = verb_names[command->verb];
    if (!is_allowed(serve, connection, answer)) {
        MOR_LOG(WARN, "control_refused", MOR_STR("topic", command->topic), MOR_STR("verb", verb),
                MOR_INT("status", answer->status));
        return;
    }
    static const unsigned statuses[] = {[MOR_SERVE_DONE] = MHD_HTTP_ACCEPTED,
                                        [MOR_SERVE_NO_TOPIC] = MHD_HTTP_NOT_FOUND,
                                        [MOR_SERVE_NOT_NOW] = MHD_HTTP_CONFLICT,
                                        [MOR_SERVE_UNSUPPORTED] = MHD_HTTP_NOT_IMPLEMENTED};
    char words[512] = "this verb is not supported";
    enum mor_serve_outcome outcome = MOR_SERVE_UNSUPPORTED;
    if (serve->options.control != NULL)
        outcome = serve->options.control(serve->options.context, command->topic, command->verb,
                                         words, sizeof words);
    say(answer, statuses[outcome], outcome == MOR_SERVE_DONE ? "result" : "error", words);
    MOR_LOG(INFO, "control", MOR_STR("topic", command->topic), MOR_STR("verb", verb),
            MOR_INT("status", answer->status), MOR_STR("msg", words));
}

// ---- one request --------------------------------------------------------------------------------

static void refuse_method(struct answer *answer, const char *allow)
{
    say(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "error", "this path takes other methods");
    answer->allow = allow;
}

static void find_answer(struct mor_serve *serve, struct MHD_Connection *connection,
                        const char *path, const char *method, struct answer *answer)
{
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(path, routes[i].path) != 0)
            continue;
        if (reads)
            routes[i].get(serve, connection, answer);
        else
            refuse_method(answer, "GET, HEAD");
        return;
    }
    for (size_t i = 0; i < serve_asset_count; i++) {
        if (strcmp(path, serve_assets[i].path) != 0)
            continue;
        if (reads) {
            answer->type = serve_assets[i].type;
            answer->asset = &serve_assets[i];
        } else {
            refuse_method(answer, "GET, HEAD");
        }
        return;
    }
    struct command command;
    if (!parse_command(path, &command))
        say(answer, MHD_HTTP_NOT_FOUND, "error", "there is nothing at this path");
    else if (strcmp(method, "POST") == 0)
        carry_out(serve, connection, &command, answer);
    else
        refuse_method(answer, "POST");
}

static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static struct MHD_Response *make_response(struct MHD_Connection *connection, struct answer *answer)
{
    const struct serve_asset *asset = answer->status < 300 ? answer->asset : NULL;
    if (asset == NULL) {
        uint8_t *body;
        size_t size_bytes;
        mor_buffer_move(&answer->body, &body, &size_bytes);
        return MHD_create_response_from_buffer(size_bytes, body, MHD_RESPMEM_MUST_FREE);
    }
    const char *known =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    bool same = known != NULL && strstr(known, asset->etag) != NULL;
    if (same)
        answer->status = MHD_HTTP_NOT_MODIFIED;
    // MHD only reads it, whatever its signature says
    return MHD_create_response_from_buffer(same ? 0 : asset->size_bytes,
                                           (void *)(uintptr_t)asset->data, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
    struct MHD_Response *response = make_response(connection, answer);
    if (response == NULL)
        return MHD_NO;
    const struct {
        const char *name, *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, answer->type},
        {MHD_HTTP_HEADER_CACHE_CONTROL, answer->asset != NULL ? "no-cache" : "no-store"},
        {MHD_HTTP_HEADER_ETAG, answer->asset != NULL ? answer->asset->etag : NULL},
        {MHD_HTTP_HEADER_ALLOW, answer->allow},
        {MHD_HTTP_HEADER_WWW_AUTHENTICATE, answer->challenge ? "Bearer" : NULL},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", content_security_policy},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    bool complete = true;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (headers[i].value != NULL &&
            MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
            complete = false;
    enum MHD_Result result =
        complete ? MHD_queue_response(connection, answer->status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

// Whether the request announces a body that is read and dropped; otherwise says why not.
static bool accept_body(struct MHD_Connection *connection, struct answer *answer)
{
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                    MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL) {
        say(answer, MHD_HTTP_LENGTH_REQUIRED, "error", "a body needs a Content-Length");
        return false;
    }
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    errno = 0;
    if (length != NULL && (strtoull(length, NULL, 10) > BODY_MAX_BYTES || errno != 0)) {
        say(answer, MHD_HTTP_CONTENT_TOO_LARGE, "error", "the body is too large; none is needed");
        return false;
    }
    return true;
}

// MHD calls once with the headers, then for every piece of the body, then once to be answered.
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_size, void **request)
{
    (void)version;
    (void)body;
    static char seen; // its address marks a request whose headers were looked at
    struct answer answer = {.status = MHD_HTTP_OK, .type = text_type};
    if (*request == NULL) {
        *request = &seen;
        return accept_body(connection, &answer) ? MHD_YES : send_answer(connection, &answer);
    }
    if (*body_size > 0) {
        *body_size = 0;
        return MHD_YES;
    }
    find_answer(context, connection, path, method, &answer);
    enum MHD_Result result = send_answer(connection, &answer);
    mor_buffer_done(&answer.body);
    return result;
}

static int socket_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct mor_serve *serve = context;
    (void)socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        serve_guard_opened(serve->guard, socket_of(connection), mor_clock_mono_ms());
    else
        serve_guard_closing(serve->guard, socket_of(connection));
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct mor_serve *serve = context;
    (void)request;
    (void)code;
    serve_guard_answered(serve->guard, socket_of(connection), mor_clock_mono_ms());
}

// What libmicrohttpd says is about clients that broke off or sent rubbish: nobody's business.
static void on_library_log(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void on_library_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    if (!mor_log_enabled(MOR_LOG_DEBUG))
        return;
    char text[512];
    (void)vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\r\n")] = '\0';
    MOR_LOG(DEBUG, "http", MOR_STR("msg", text));
}

// ---- lifecycle ----------------------------------------------------------------------------------

static enum mor_status start_daemon(struct mor_serve *serve, int listener, struct mor_error *err)
{
    serve->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, serve,
        MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL, // first: it is used while starting
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, serve, MHD_OPTION_NOTIFY_COMPLETED, on_completed, serve,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    if (serve->daemon != NULL)
        return MOR_OK;
    (void)close(listener);
    return mor_error_set(err, MOR_FATAL, "could not start the HTTP server at %s", serve->url);
}

enum mor_status mor_serve_open(const struct mor_serve_options *options,
                               struct mor_serve **ret_serve, struct mor_error *err)
{
    struct mor_serve *serve = mor_calloc(1, sizeof *serve);
    serve->options = *options;
    serve->options.listen = serve->options.token = NULL;
    if (serve->options.stall_after_ms <= 0)
        serve->options.stall_after_ms = STALL_AFTER_MS;
    if (serve->options.topic_stall_after_ms <= 0)
        serve->options.topic_stall_after_ms = TOPIC_STALL_AFTER_MS;
    if (options->token != NULL && options->token[0] != '\0')
        serve->token = mor_strdup(options->token);
    serve->guard = serve_guard_new(
        CONNECTIONS_MAX, options->request_ms_max > 0 ? options->request_ms_max : REQUEST_MAX_MS);
    int listener = -1;
    enum mor_status status =
        serve_listen(options->listen, &listener, serve->url, sizeof serve->url, err);
    if (status == MOR_OK)
        status = serve_sampler_open(options, serve->guard, &serve->sampler, err);
    if (status != MOR_OK && listener >= 0)
        (void)close(listener);
    if (status == MOR_OK)
        status = start_daemon(serve, listener, err);
    if (status != MOR_OK) {
        mor_serve_free(serve);
        return mor_error_wrap(err, "HTTP server");
    }
    *ret_serve = serve;
    return MOR_OK;
}

const char *mor_serve_url(const struct mor_serve *serve)
{
    return serve->url;
}

void mor_serve_free(struct mor_serve *serve)
{
    if (serve == NULL)
        return;
    if (serve->daemon != NULL)
        MHD_stop_daemon(serve->daemon); // closes the listening socket too
    serve_sampler_free(serve->sampler);
    serve_guard_free(serve->guard);
    if (serve->token != NULL)
        explicit_bzero(serve->token, strlen(serve->token));
    free(serve->token);
    free(serve);
}
