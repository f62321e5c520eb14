// Cuts off clients that take too long over one request: libmicrohttpd limits silence only, so a
// client that sends a byte every ten seconds would keep its place for ever.
#ifndef MORAINE_SERVE_GUARD_H
#define MORAINE_SERVE_GUARD_H

#include <stddef.h>
#include <stdint.h>

struct serve_guard;
struct serve_guard *serve_guard_new(size_t connections_max, int64_t request_ms_max);
void serve_guard_free(struct serve_guard *guard);
// A connection was accepted, completed a request, is about to be closed. Server's thread.
void serve_guard_opened(struct serve_guard *guard, int connection, int64_t now_ms);
void serve_guard_answered(struct serve_guard *guard, int connection, int64_t now_ms);
void serve_guard_closing(struct serve_guard *guard, int connection);
// Shuts down what is too slow; the server's thread then closes it. Any thread.
void serve_guard_look(struct serve_guard *guard, int64_t now_ms);

#endif
