// Status classes and the error that travels with them.
//
// A function that can fail returns enum mor_status and takes `struct mor_error *err` last (never
// NULL inside the library). Callers branch on the class only; the message is for people. The first
// cause wins, outer layers prepend what they were doing with mor_error_wrap.
#ifndef MORAINE_BASE_STATUS_H
#define MORAINE_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum mor_status {
    MOR_OK = 0,
    MOR_RETRY,     // transient: the same call may succeed later (disk full, connection lost)
    MOR_DATA,      // the input is wrong: a record for the dead letters, a malformed file
    MOR_CONFLICT,  // somebody else was first: re-read and plan again (also: object already exists)
    MOR_FENCED,    // another writer owns this range: drop the batch and resynchronise
    MOR_UNKNOWN,   // the outcome is not known (time-out after sending): read back before deciding
    MOR_NOT_FOUND, // the named object does not exist
    MOR_FATAL,     // nothing this process can do; an operator must act
};

struct mor_error {
    enum mor_status status;
    int os_errno;        // errno of the first cause, 0 when none
    int64_t file_offset; // byte offset of the fault in a file, -1 when it does not apply
    int32_t row_group;   // Parquet row group, -1 when it does not apply
    int32_t column;      // leaf column, -1 when it does not apply
    char message[1008];
};

#define MOR_ERROR_INIT ((struct mor_error){.file_offset = -1, .row_group = -1, .column = -1})

// Marks a function whose status must be looked at.
#define MOR_CHECKED __attribute__((warn_unused_result))

// Returns the status of `expr` from the enclosing function unless it is MOR_OK.
#define MOR_TRY(expr)                                                                              \
    do {                                                                                           \
        enum mor_status mor_try_status_ = (expr);                                                  \
        if (mor_try_status_ != MOR_OK)                                                             \
            return mor_try_status_;                                                                \
    } while (0)

// Fills *err. The three calls below are macros so that compilers and analysers see that what they
// return is never MOR_OK. Any thread.
void mor_error_fill(struct mor_error *err, enum mor_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mor_error_fill_errno(struct mor_error *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mor_error_prepend(struct mor_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Class of an error that was filled in.
static inline enum mor_status mor_error_class(const struct mor_error *err)
{
    return err->status != MOR_OK ? err->status : MOR_FATAL;
}

// mor_error_set(err, status, format, ...): fills *err and returns `status`, so that
// `return mor_error_set(...)` reads well.
#define mor_error_set(err_, status_, ...)                                                          \
    ({                                                                                             \
        enum mor_status mor_set_status_ = (status_);                                               \
        mor_error_fill((err_), mor_set_status_, __VA_ARGS__);                                      \
        mor_set_status_;                                                                           \
    })

// mor_error_set_errno(err, os_errno, format, ...): same, with os_errno and its text appended
// (": No space left on device"). The class is chosen from os_errno: ENOSPC, EDQUOT, EAGAIN, EINTR,
// EMFILE, ENFILE, ENOMEM, EIO -> RETRY, ENOENT -> NOT_FOUND, EEXIST -> CONFLICT, everything else
// FATAL.
#define mor_error_set_errno(err_, os_errno_, ...)                                                  \
    (mor_error_fill_errno((err_), (os_errno_), __VA_ARGS__), mor_error_class(err_))

// mor_error_wrap(err, format, ...): prepends "<format>: " to the message and returns err->status.
#define mor_error_wrap(err_, ...) (mor_error_prepend((err_), __VA_ARGS__), mor_error_class(err_))

// Constant name of a class: "retry", "data", ...
const char *mor_status_name(enum mor_status status);

#endif
