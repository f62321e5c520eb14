#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "serve_listen.h"

static void free_port_is_bound_and_told(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    int listener;
    char url[320];
    assert_ok(serve_listen("127.0.0.1:0", &listener, url, sizeof url, &err));
    unsigned port;
    assert_int_equal(sscanf(url, "http://127.0.0.1:%u/", &port), 1);
    assert_true(port > 0);
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &size), 0);
    assert_int_equal(ntohl(bound.sin_addr.s_addr), INADDR_LOOPBACK);
    close(listener);
}

static void host_names_and_bracketed_addresses_are_understood(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    int listener;
    char url[320];
    assert_ok(serve_listen("localhost:0", &listener, url, sizeof url, &err));
    assert_int_equal(strncmp(url, "http://localhost:", 17), 0);
    close(listener);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 =
        probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe >= 0)
        close(probe);
    if (!has_ipv6) {
        print_message("skipped: no IPv6 loopback here\n");
        skip();
    }
    assert_ok(serve_listen("[::1]:0", &listener, url, sizeof url, &err));
    assert_int_equal(strncmp(url, "http://[::1]:", 13), 0);
    close(listener);
}

static void malformed_addresses_are_refused_with_words(void **state)
{
    (void)state;
    static const char *const not_addresses[] = {"",       ":",       "localhost", ":80",
                                                "::1:80", "[::1:80", "[]:80"};
    int listener = -1;
    char url[320];
    for (size_t i = 0; i < sizeof not_addresses / sizeof not_addresses[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        assert_fails(serve_listen(not_addresses[i], &listener, url, sizeof url, &err), MOR_FATAL,
                     "is not host:port");
    }
    static const char *const not_ports[] = {"localhost:",   "localhost:x",      "localhost:65536",
                                            "localhost:-1", "localhost:123456", "localhost:80x"};
    for (size_t i = 0; i < sizeof not_ports / sizeof not_ports[0]; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        assert_fails(serve_listen(not_ports[i], &listener, url, sizeof url, &err), MOR_FATAL,
                     "is not a port");
    }
    assert_int_equal(listener, -1);
}

static void unknown_host_and_foreign_address_are_refused_with_words(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    int listener;
    char url[320];
    assert_fails(serve_listen("no.such.host.invalid:80", &listener, url, sizeof url, &err),
                 MOR_FATAL, "could not find host 'no.such.host.invalid'");
    err = MOR_ERROR_INIT;
    assert_fails(serve_listen("192.0.2.1:0", &listener, url, sizeof url, &err), MOR_FATAL,
                 "could not listen on '192.0.2.1:0'"); // TEST-NET-1 is nobody's
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_port_is_bound_and_told),
        cmocka_unit_test(host_names_and_bracketed_addresses_are_understood),
        cmocka_unit_test(malformed_addresses_are_refused_with_words),
        cmocka_unit_test(unknown_host_and_foreign_address_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
