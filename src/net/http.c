#include "moraine/net.h"

#include <pthread.h>
#include <strings.h>

#include <curl/curl.h>

#define HEADERS_SIZE_MAX (64u << 10)

struct mor_http_client {
    CURL *curl;
    char *username, *password, *ca_location;
    int64_t timeout_ms, connect_timeout_ms;
    size_t response_size_max_bytes;
};

// Where the answer goes while libcurl delivers it.
struct sink {
    struct mor_http_response *response;
    size_t limit;
    bool too_long;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *bytes, size_t unit, size_t count, void *context)
{
    struct sink *sink = context;
    size_t size = unit * count;
    if (size > sink->limit - sink->response->body.size_bytes) {
        sink->too_long = true;
        return 0; // ends the transfer
    }
    mor_buffer_append(&sink->response->body, bytes, size);
    return size;
}

static size_t on_header(char *bytes, size_t unit, size_t count, void *context)
{
    struct sink *sink = context;
    size_t size = unit * count;
    if (size > HEADERS_SIZE_MAX - sink->response->headers.size_bytes) {
        sink->too_long = true;
        return 0;
    }
    mor_buffer_append(&sink->response->headers, bytes, size);
    return size;
}

enum mor_status mor_http_client_new(const struct mor_http_options *options,
                                    struct mor_http_client **ret_client, struct mor_error *err)
{
    pthread_once(&curl_once, init_curl);
    CURL *curl = curl_ready == CURLE_OK ? curl_easy_init() : NULL;
    if (!curl)
        return mor_error_set(err, MOR_FATAL, "libcurl does not start");
    struct mor_http_client *client = mor_calloc(1, sizeof *client);
    client->curl = curl;
    client->username = options->username ? mor_strdup(options->username) : NULL;
    client->password = options->password ? mor_strdup(options->password) : NULL;
    client->ca_location = options->ca_location ? mor_strdup(options->ca_location) : NULL;
    client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : 30000;
    client->connect_timeout_ms = options->connect_timeout_ms > 0 ? options->connect_timeout_ms
                                 : client->timeout_ms < 10000    ? client->timeout_ms
                                                                 : 10000;
    client->response_size_max_bytes = options->response_size_max_bytes > 0
                                          ? options->response_size_max_bytes
                                          : MOR_HTTP_RESPONSE_SIZE_MAX;
    *ret_client = client;
    return MOR_OK;
}

void mor_http_client_free(struct mor_http_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client->username);
    free(client->password);
    free(client->ca_location);
    free(client);
}

// ---- sending ------------------------------------------------------------------------------------

static void set_connection(struct mor_http_client *client, const char *url)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl); // connections and name cache stay
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); // threads
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "moraine/" MORAINE_VERSION);
    if (client->ca_location)
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_location);
    if (client->username) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, client->username);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, client->password ? client->password : "");
    }
}

static bool is_safe(const struct mor_http_request *request)
{
    return !request->method || strcmp(request->method, "GET") == 0 ||
           strcmp(request->method, "HEAD") == 0;
}

static void set_request(CURL *curl, const struct mor_http_request *request,
                        struct curl_slist *headers)
{
    const char *method = request->method ? request->method : "GET";
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size_bytes);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    // A request on a connection that was kept and dies without an answer is sent again by libcurl
    // itself, on a new one; what it says then is of the second sending alone, such as that nobody
    // listens, while the first may have done its work.
    if (!is_safe(request))
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
}

static enum mor_status classify(CURLcode code, const struct mor_http_request *request)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return MOR_FATAL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return MOR_RETRY; // nothing was sent
    default:
        return is_safe(request) ? MOR_RETRY : MOR_UNKNOWN;
    }
}

static enum mor_status perform(struct mor_http_client *client,
                               const struct mor_http_request *request,
                               struct mor_http_response *response, struct mor_error *err)
{
    CURL *curl = client->curl;
    struct sink sink = {.response = response, .limit = client->response_size_max_bytes};
    char reason[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &sink);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (sink.too_long)
        return mor_error_set(err, MOR_DATA, "%s: the answer is longer than %zu bytes", request->url,
                             sink.limit);
    if (code != CURLE_OK)
        return mor_error_set(err, classify(code, request), "%s: %s", request->url,
                             reason[0] ? reason : curl_easy_strerror(code));
    long http_code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_code);
    response->code = (int32_t)http_code;
    mor_buffer_terminate(&response->body);
    return MOR_OK;
}

enum mor_status mor_http_send(struct mor_http_client *client,
                              const struct mor_http_request *request,
                              struct mor_http_response *response, struct mor_error *err)
{
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < request->header_count; i++)
        headers = curl_slist_append(headers, request->headers[i]);
    // without this a POST of more than a megabyte waits for "100 Continue" first
    headers = curl_slist_append(headers, "Expect:");
    mor_buffer_reset(&response->body);
    mor_buffer_reset(&response->headers);
    response->code = 0;
    set_connection(client, request->url);
    set_request(client->curl, request, headers);
    enum mor_status status = perform(client, request, response, err);
    curl_slist_free_all(headers);
    return status;
}

void mor_http_response_done(struct mor_http_response *response)
{
    mor_buffer_done(&response->body);
    mor_buffer_done(&response->headers);
}

// ---- helpers ------------------------------------------------------------------------------------

const char *mor_http_header(const struct mor_http_response *response, const char *name,
                            size_t *ret_size_bytes)
{
    size_t name_size = strlen(name);
    const char *found = NULL;
    const char *at = (const char *)response->headers.data;
    const char *end = at + response->headers.size_bytes;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        if ((size_t)(line_end - at) > name_size && at[name_size] == ':' &&
            strncasecmp(at, name, name_size) == 0) {
            const char *value = at + name_size + 1;
            const char *value_end = line_end;
            while (value < value_end && (*value == ' ' || *value == '\t'))
                value++;
            while (value_end > value && (value_end[-1] == '\r' || value_end[-1] == ' '))
                value_end--;
            found = value;
            *ret_size_bytes = (size_t)(value_end - value);
        }
        at = line_end + 1;
    }
    return found;
}

void mor_http_escape(const char *text, size_t size_bytes, struct mor_buffer *ret_text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            mor_buffer_append_u8(ret_text, c);
        } else {
            mor_buffer_append_u8(ret_text, '%');
            mor_buffer_append_u8(ret_text, (uint8_t)hex[c >> 4]);
            mor_buffer_append_u8(ret_text, (uint8_t)hex[c & 15]);
        }
    }
}
