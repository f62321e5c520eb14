// One line per event, logfmt or JSON, to standard error. Only pipeline/, serve/ and cli/ log;
// below, errors are returned.
//
//   MOR_LOG(INFO, "commit_done", MOR_STR("topic", topic), MOR_INT("rows", n), MOR_STR("msg",
//   "..."));
#ifndef MORAINE_BASE_LOG_H
#define MORAINE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum mor_log_level { MOR_LOG_DEBUG, MOR_LOG_INFO, MOR_LOG_WARN, MOR_LOG_ERROR, MOR_LOG_OFF };
enum mor_log_format { MOR_LOG_LOGFMT, MOR_LOG_JSON };

struct mor_log_field {
    const char *name;
    const char *text; // NULL: number
    int64_t number;
};

// A field cannot be without a value: NULL is written as "".
static inline struct mor_log_field mor_log_text(const char *name, const char *text)
{
    return (struct mor_log_field){.name = name, .text = text != 0 ? text : ""};
}

#define MOR_STR(name_, text_) mor_log_text(name_, text_)
#define MOR_INT(name_, number_)                                                                    \
    ((struct mor_log_field){.name = (name_), .number = (int64_t)(number_)})

// Writes `event` with its fields when `level` is enabled. Any thread; one write(2) per line. Lines
// of one event beyond 20 in a second are counted and reported once ("suppressed"), but at DEBUG:
// whoever asks for that wants each.
#define MOR_LOG(level_, event_, ...)                                                               \
    do {                                                                                           \
        if (mor_log_enabled(MOR_LOG_##level_)) {                                                   \
            const struct mor_log_field mor_fields_[] = {__VA_ARGS__};                              \
            mor_log_write(MOR_LOG_##level_, event_, mor_fields_,                                   \
                          sizeof mor_fields_ / sizeof mor_fields_[0]);                             \
        }                                                                                          \
    } while (0)

void mor_log_configure(enum mor_log_level level, enum mor_log_format format);
bool mor_log_enabled(enum mor_log_level level);
void mor_log_write(enum mor_log_level level, const char *event, const struct mor_log_field *fields,
                   unsigned long count);
// From now on `secret` is overwritten with '*' in the texts of every line; copied, kept for the
// life of the process. Any thread.
void mor_log_hide(const char *secret);
bool mor_log_level_parse(const char *text, enum mor_log_level *ret_level);
// The last event written at WARN or above, copied; for status pages.
void mor_log_last_problem(char *ret_text, unsigned long capacity);

#endif
