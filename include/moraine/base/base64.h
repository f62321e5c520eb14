// Base64 (RFC 4648).
#ifndef MORAINE_BASE_BASE64_H
#define MORAINE_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "moraine/base/memory.h"

// Appends base64 text (section 4, padded).
void mor_base64_encode(const void *bytes, size_t size_bytes, struct mor_buffer *ret_text);
// Appends the bytes of base64 text, either alphabet, padding optional. False (nothing appended)
// when it is not base64.
bool mor_base64_decode(const void *text, size_t size_bytes, struct mor_buffer *ret_bytes);

#endif
