// Text that comes from outside and goes where it must be UTF-8: JSON, metrics, logs.
#ifndef MORAINE_BASE_UTF8_H
#define MORAINE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

// Length of the UTF-8 sequence at `text` (zero-terminated), 0 when it is not one (RFC 3629: no
// surrogates, nothing overlong). Any thread.
size_t mor_utf8_length(const uint8_t *text);

#endif
