#include "moraine/base/status.h"

#include <errno.h>
#include <stdio.h>

void mor_error_fill(struct mor_error *err, enum mor_status status, const char *format, ...)
{
    err->status = status;
    err->os_errno = 0;
    err->file_offset = -1;
    err->row_group = -1;
    err->column = -1;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
}

static enum mor_status class_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
        return MOR_RETRY;
    case ENOENT:
        return MOR_NOT_FOUND;
    case EEXIST:
        return MOR_CONFLICT;
    default:
        return MOR_FATAL;
    }
}

void mor_error_fill_errno(struct mor_error *err, int os_errno, const char *format, ...)
{
    char text[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char reason[128];
    const char *words = strerror_r(os_errno, reason, sizeof reason);
    mor_error_fill(err, class_of_errno(os_errno), "%.800s: %s", text, words);
    err->os_errno = os_errno;
}

void mor_error_prepend(struct mor_error *err, const char *format, ...)
{
    char cause[sizeof err->message];
    memcpy(cause, err->message, sizeof cause);
    va_list arguments;
    va_start(arguments, format);
    int prefix = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (prefix >= 0 && (size_t)prefix < sizeof err->message) {
        size_t room = sizeof err->message - (size_t)prefix;
        (void)snprintf(err->message + prefix, room, ": %.*s", (int)room, cause);
    }
}

const char *mor_status_name(enum mor_status status)
{
    switch (status) {
    case MOR_OK:
        return "ok";
    case MOR_RETRY:
        return "retry";
    case MOR_DATA:
        return "data";
    case MOR_CONFLICT:
        return "conflict";
    case MOR_FENCED:
        return "fenced";
    case MOR_UNKNOWN:
        return "unknown";
    case MOR_NOT_FOUND:
        return "not_found";
    case MOR_FATAL:
        return "fatal";
    }
    return "?";
}
