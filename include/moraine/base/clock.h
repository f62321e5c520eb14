// Time: wall clock and monotonic clock in integer units, and UTC calendar arithmetic.
#ifndef MORAINE_BASE_CLOCK_H
#define MORAINE_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Wall clock, milliseconds since 1970-01-01T00:00:00Z.
int64_t mor_clock_wall_ms(void);
// Monotonic, for durations and deadlines. Nanoseconds and milliseconds of the same clock.
int64_t mor_clock_mono_ns(void);
int64_t mor_clock_mono_ms(void);
// CPU time of the calling thread in nanoseconds.
int64_t mor_clock_thread_cpu_ns(void);

struct mor_civil {
    int32_t year;
    int32_t month; // 1..12
    int32_t day;   // 1..31
};

// Proleptic Gregorian calendar; days since 1970-01-01, may be negative.
int64_t mor_days_from_civil(struct mor_civil date);
struct mor_civil mor_civil_from_days(int64_t days);

// Parses "YYYY-MM-DD" (exactly `length` bytes; years 0000..9999). False when it is not a date.
bool mor_parse_date(const char *text, size_t length, int64_t *ret_days);
// Parses ISO 8601 / RFC 3339 date-times: "2026-01-02T03:04:05[.fraction][Z|+hh:mm|+hhmm]", 'T' or
// blank, without zone = UTC. Fraction digits after the sixth are cut. Microseconds since the epoch.
bool mor_parse_timestamp(const char *text, size_t length, int64_t *ret_us);
// "2026-01-02T03:04:05.678901Z" (fraction left out when zero); capacity at least 40 bytes.
size_t mor_format_timestamp(int64_t us, char *ret_text, size_t capacity);
// "2026-01-02"; capacity at least 16 bytes.
size_t mor_format_date(int64_t days, char *ret_text, size_t capacity);

#endif
