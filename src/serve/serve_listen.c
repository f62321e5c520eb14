#include "serve_listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 256

struct address {
    char host[256];
    char port[8];
};

static enum mor_status split(const char *text, struct address *ret_address, struct mor_error *err)
{
    const char *colon = strrchr(text, ':');
    const char *host = text, *host_end = colon;
    if (colon != NULL && text[0] == '[') {
        host = text + 1;
        host_end = colon > host && colon[-1] == ']' ? colon - 1 : NULL;
    } else if (colon != NULL && memchr(text, ':', (size_t)(colon - text)) != NULL) {
        host_end = NULL; // an IPv6 address without brackets
    }
    if (colon == NULL || host_end == NULL || host_end == host ||
        (size_t)(host_end - host) >= sizeof ret_address->host)
        return mor_error_set(err, MOR_FATAL, "'%s' is not host:port (IPv6: [::1]:port)", text);
    size_t digits = strspn(colon + 1, "0123456789");
    long port =
        digits > 0 && digits <= 5 && colon[1 + digits] == '\0' ? strtol(colon + 1, NULL, 10) : -1;
    if (port < 0 || port > 65535)
        return mor_error_set(err, MOR_FATAL, "'%s' is not a port (0 to 65535)", colon + 1);
    memcpy(ret_address->host, host, (size_t)(host_end - host));
    ret_address->host[host_end - host] = '\0';
    (void)snprintf(ret_address->port, sizeof ret_address->port, "%ld", port);
    return MOR_OK;
}

static int bind_one(const struct addrinfo *info)
{
    int listener = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                          info->ai_protocol);
    if (listener < 0)
        return -1;
    int on = 1; // a restart must not wait for connections of the last run to be forgotten
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(listener, info->ai_addr, info->ai_addrlen) == 0 && listen(listener, BACKLOG) == 0)
        return listener;
    int error = errno;
    (void)close(listener);
    errno = error;
    return -1;
}

static void format_url(int listener, const char *host, char *ret_url, size_t capacity)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    (void)getsockname(listener, (struct sockaddr *)&bound, &size);
    char port[8] = "0";
    (void)getnameinfo((const struct sockaddr *)&bound, size, NULL, 0, port, sizeof port,
                      NI_NUMERICSERV);
    bool brackets = strchr(host, ':') != NULL;
    (void)snprintf(ret_url, capacity, "http://%s%s%s:%s/", brackets ? "[" : "", host,
                   brackets ? "]" : "", port);
}

enum mor_status serve_listen(const char *address, int *ret_socket, char *ret_url, size_t capacity,
                             struct mor_error *err)
{
    struct address parts;
    MOR_TRY(split(address, &parts, err));
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *infos = NULL;
    int failure = getaddrinfo(parts.host, parts.port, &hints, &infos);
    if (failure != 0)
        return mor_error_set(err, MOR_FATAL, "could not find host '%s': %s", parts.host,
                             gai_strerror(failure));
    int listener = -1;
    for (const struct addrinfo *info = infos; info != NULL && listener < 0; info = info->ai_next)
        listener = bind_one(info);
    int error = errno;
    freeaddrinfo(infos);
    if (listener < 0) {
        mor_error_set_errno(err, error, "could not listen on '%s'", address);
        return err->status = MOR_FATAL;
    }
    format_url(listener, parts.host, ret_url, capacity);
    *ret_socket = listener;
    return MOR_OK;
}
