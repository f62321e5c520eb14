// An HTTP server on the loopback interface for tests: one thread, one answer per connection.
#ifndef MORAINE_HTTP_SERVER_H
#define MORAINE_HTTP_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct http_server;

// Fills `answer` (whole, with status line and headers) for the request text. Returns its size; 0 =
// close the connection without an answer.
typedef size_t http_handler(struct http_server *server, const char *request, char *answer,
                            size_t capacity);

struct http_server {
    http_handler *handler;
    int listener;
    int port;
    pthread_t thread;
    atomic_int requests;
    atomic_int mode; // for the handler
    char url[64];
    char last[8192]; // the last request; read it when no request is under way
};

static inline size_t http_read(int fd, char *request, size_t capacity)
{
    size_t size = 0;
    size_t wanted = 0;
    while (size < capacity - 1) {
        ssize_t got = recv(fd, request + size, capacity - 1 - size, 0);
        if (got <= 0)
            break;
        size += (size_t)got;
        request[size] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strcasestr(request, "content-length:");
        if (end && wanted == 0)
            wanted = (size_t)(end + 4 - request) + (length ? strtoul(length + 15, NULL, 10) : 0);
        if (wanted > 0 && size >= wanted)
            break;
    }
    request[size] = '\0';
    return size;
}

static inline void *http_serve(void *argument)
{
    struct http_server *server = argument;
    static char answer[1 << 20];
    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        if (http_read(fd, server->last, sizeof server->last) > 0) {
            atomic_fetch_add(&server->requests, 1);
            size_t size = server->handler(server, server->last, answer, sizeof answer);
            for (size_t sent = 0; sent < size;) {
                ssize_t wrote = send(fd, answer + sent, size - sent, MSG_NOSIGNAL);
                if (wrote <= 0)
                    break;
                sent += (size_t)wrote;
            }
        }
        close(fd);
    }
}

static inline void http_server_start(struct http_server *server, http_handler *handler)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(server, 0, sizeof *server);
    server->handler = handler;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, http_serve, server), 0);
}

static inline void http_server_stop(struct http_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static inline size_t http_answer(char *answer, size_t capacity, const char *status,
                                 const char *body)
{
    int size = snprintf(answer, capacity,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n%s",
                        status, strlen(body), body);
    return (size_t)size;
}

#endif
