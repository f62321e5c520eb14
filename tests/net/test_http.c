#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "http_server.h"
#include "moraine/base/clock.h"
#include "moraine/net.h"

enum mode { ECHO, REDIRECT, BIG, HANG_UP, SILENT, HALF };

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    static char big[200001];
    switch ((enum mode)atomic_load(&server->mode)) {
    case ECHO:
        return (size_t)snprintf(answer, capacity,
                                "HTTP/1.1 200 OK\r\nETag: \"a\"\r\neTAG:  \"b\" "
                                "\r\nX-Empty:\r\nContent-Length: %zu\r\n\r\n%s",
                                strlen(request), request);
    case REDIRECT:
        return (size_t)snprintf(
            answer, capacity,
            "HTTP/1.1 302 Found\r\nLocation: %s/other\r\nContent-Length: 0\r\n\r\n", server->url);
    case BIG:
        memset(big, 'x', sizeof big - 1);
        return http_answer(answer, capacity, "200 OK", big);
    case HANG_UP:
        return 0;
    case SILENT:
        usleep(400000);
        return 0;
    case HALF:
        return (size_t)snprintf(answer, capacity,
                                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    }
    return 0;
}

struct fixture {
    struct http_server server;
    struct mor_http_client *client;
    struct mor_http_response response;
    struct mor_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct mor_http_options options = {.timeout_ms = 5000, .response_size_max_bytes = 100000};
    f->err = MOR_ERROR_INIT;
    http_server_start(&f->server, handle);
    assert_int_equal(mor_http_client_new(&options, &f->client, &f->err), MOR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mor_http_client_free(f->client);
    mor_http_response_done(&f->response);
    http_server_stop(&f->server);
    free(f);
    return 0;
}

static enum mor_status send_mode(struct fixture *f, enum mode mode, const char *method)
{
    char url[128];
    atomic_store(&f->server.mode, mode);
    snprintf(url, sizeof url, "%s/path?x=1", f->server.url);
    struct mor_http_request request = {.method = method, .url = url};
    if (method && strcmp(method, "POST") == 0) {
        request.body = "the body";
        request.body_size_bytes = 8;
    }
    return mor_http_send(f->client, &request, &f->response, &f->err);
}

static void test_get_returns_code_body_and_headers(void **state)
{
    struct fixture *f = *state;
    size_t size;
    assert_int_equal(send_mode(f, ECHO, NULL), MOR_OK);
    assert_int_equal(f->response.code, 200);
    assert_non_null(strstr((char *)f->response.body.data, "GET /path?x=1 HTTP/1.1\r\n"));
    assert_null(strstr((char *)f->response.body.data, "Authorization"));
    const char *etag = mor_http_header(&f->response, "Etag", &size);
    assert_int_equal(size, 3);
    assert_memory_equal(etag, "\"b\"", 3);
    assert_non_null(mor_http_header(&f->response, "x-empty", &size));
    assert_int_equal(size, 0);
    assert_null(mor_http_header(&f->response, "ETa", &size));
}

static void test_post_sends_body_and_headers(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = {"X-One: 1", "Content-Type: text/x"};
    atomic_store(&f->server.mode, ECHO);
    struct mor_http_request request = {.method = "POST",
                                       .url = f->server.url,
                                       .headers = headers,
                                       .header_count = 2,
                                       .body = "the body",
                                       .body_size_bytes = 8};
    assert_int_equal(mor_http_send(f->client, &request, &f->response, &f->err), MOR_OK);
    const char *body = (char *)f->response.body.data;
    assert_non_null(strstr(body, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(body, "X-One: 1\r\n"));
    assert_non_null(strstr(body, "Content-Type: text/x\r\n"));
    assert_null(strstr(body, "Expect:"));
    assert_non_null(strstr(body, "\r\n\r\nthe body"));
}

static void test_credentials_go_out_as_basic_authentication(void **state)
{
    struct fixture *f = *state;
    struct mor_http_options options = {.username = "Aladdin", .password = "open sesame"};
    struct mor_http_client *client;
    assert_int_equal(mor_http_client_new(&options, &client, &f->err), MOR_OK);
    atomic_store(&f->server.mode, ECHO);
    struct mor_http_request request = {.url = f->server.url};
    assert_int_equal(mor_http_send(client, &request, &f->response, &f->err), MOR_OK);
    assert_non_null(strstr((char *)f->response.body.data,
                           "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    mor_http_client_free(client);
}

static void test_redirect_is_an_answer_and_not_followed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_mode(f, REDIRECT, NULL), MOR_OK);
    assert_int_equal(f->response.code, 302);
    assert_int_equal(atomic_load(&f->server.requests), 1);
}

static void test_answer_over_the_limit_is_data(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_mode(f, BIG, NULL), MOR_DATA);
    assert_non_null(strstr(f->err.message, "longer than 100000"));
}

static void test_lost_answers_are_retry_for_get_and_unknown_for_post(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_mode(f, HANG_UP, NULL), MOR_RETRY);
    assert_int_equal(send_mode(f, HALF, NULL), MOR_RETRY);
    assert_int_equal(send_mode(f, HANG_UP, "POST"), MOR_UNKNOWN);
    assert_int_equal(send_mode(f, HALF, "DELETE"), MOR_UNKNOWN);
    assert_int_equal(send_mode(f, ECHO, NULL), MOR_OK); // the client is as good as new
}

static void test_time_out_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    struct mor_http_options options = {.timeout_ms = 50};
    struct mor_http_client *client;
    assert_int_equal(mor_http_client_new(&options, &client, &f->err), MOR_OK);
    atomic_store(&f->server.mode, SILENT);
    struct mor_http_request request = {.url = f->server.url};
    int64_t start = mor_clock_mono_ms();
    assert_int_equal(mor_http_send(client, &request, &f->response, &f->err), MOR_RETRY);
    assert_true(mor_clock_mono_ms() - start < 350);
    mor_http_client_free(client);
}

static void test_refused_connection_is_retry_even_for_post(void **state)
{
    struct fixture *f = *state;
    int fd = socket(AF_INET, SOCK_STREAM, 0); // bound, not listening: the port is surely closed
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    struct mor_http_request request = {
        .method = "POST", .url = url, .body = "x", .body_size_bytes = 1};
    assert_int_equal(mor_http_send(f->client, &request, &f->response, &f->err), MOR_RETRY);
    close(fd);
}

// A server that answers one GET, keeps that connection, reads one more request on whichever
// connection it comes, and is gone without an answer: nobody listens any more.
static void *answer_once_and_die(void *argument)
{
    int listener = *(int *)argument;
    char request[4096];
    int first = accept(listener, NULL, NULL);
    http_read(first, request, sizeof request);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    (void)!send(first, answer, sizeof answer - 1, MSG_NOSIGNAL);
    struct pollfd waiting[] = {{first, POLLIN, 0}, {listener, POLLIN, 0}};
    poll(waiting, 2, 5000);
    int next = waiting[0].revents ? first : accept(listener, NULL, NULL);
    http_read(next, request, sizeof request);
    close(listener);
    close(next);
    if (next != first)
        close(first);
    return NULL;
}

static void test_request_that_dies_on_a_kept_connection_is_unknown(void **state)
{
    struct fixture *f = *state;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    pthread_t thread;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, answer_once_and_die, &listener), 0);
    struct mor_http_request get = {.url = url};
    assert_int_equal(mor_http_send(f->client, &get, &f->response, &f->err), MOR_OK);
    struct mor_http_request post = {
        .method = "POST", .url = url, .body = "x", .body_size_bytes = 1};
    assert_int_equal(mor_http_send(f->client, &post, &f->response, &f->err), MOR_UNKNOWN);
    pthread_join(thread, NULL);
}

static void test_other_protocols_and_broken_urls_are_fatal(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {"file:///etc/hostname", "ftp://127.0.0.1/", "http://",
                                       "http://a b/", "gopher://x"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct mor_http_request request = {.url = urls[i]};
        assert_int_equal(mor_http_send(f->client, &request, &f->response, &f->err), MOR_FATAL);
        assert_int_equal(f->response.body.size_bytes, 0);
    }
}

static void test_escape_leaves_unreserved_characters(void **state)
{
    (void)state;
    MOR_AUTO_BUFFER text = {0};
    mor_http_escape("aZ09-._~ /%+\xc3\xa9", 14, &text);
    assert_string_equal(mor_buffer_terminate(&text), "aZ09-._~%20%2F%25%2B%C3%A9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get_returns_code_body_and_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post_sends_body_and_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credentials_go_out_as_basic_authentication, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_redirect_is_an_answer_and_not_followed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_answer_over_the_limit_is_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_answers_are_retry_for_get_and_unknown_for_post,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_out_ends_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_connection_is_retry_even_for_post, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_request_that_dies_on_a_kept_connection_is_unknown,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_protocols_and_broken_urls_are_fatal, setup,
                                        teardown),
        cmocka_unit_test(test_escape_leaves_unreserved_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
