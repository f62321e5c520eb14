#include "moraine/base/utf8.h"

#include <stdbool.h>

static bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t mor_utf8_length(const uint8_t *text)
{
    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        return continues(text[1]) ? 2 : 0;
    if (text[0] >= 0xe0 && text[0] <= 0xef) {
        if (!continues(text[1]) || !continues(text[2]))
            return 0;
        bool overlong = text[0] == 0xe0 && text[1] < 0xa0;
        bool surrogate = text[0] == 0xed && text[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        if (!continues(text[1]) || !continues(text[2]) || !continues(text[3]))
            return 0;
        bool overlong = text[0] == 0xf0 && text[1] < 0x90;
        bool too_big = text[0] == 0xf4 && text[1] > 0x8f;
        return overlong || too_big ? 0 : 4;
    }
    return 0;
}
