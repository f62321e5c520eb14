// The listening socket.
#ifndef MORAINE_SERVE_LISTEN_H
#define MORAINE_SERVE_LISTEN_H

#include <stddef.h>

#include "moraine/base/status.h"

// Binds "host:port" and listens. FATAL with words when that cannot be. *ret_url becomes
// "http://host:port/" with the port that was bound; capacity at least 320.
enum mor_status serve_listen(const char *address, int *ret_socket, char *ret_url, size_t capacity,
                             struct mor_error *err) MOR_CHECKED;

#endif
