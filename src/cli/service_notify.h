// Words for the supervisor: systemd's notification protocol (man sd_notify), which is one datagram.
#ifndef MORAINE_CLI_SERVICE_NOTIFY_H
#define MORAINE_CLI_SERVICE_NOTIFY_H

#include <stdint.h>

// "READY=1\nSTATUS=..."; nothing when nobody listens. Any thread.
void cli_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
// How long the supervisor waits for a sign of life before it ends the process; 0 = for ever.
int64_t cli_watchdog_ms(void);

#endif
