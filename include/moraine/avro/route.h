// Which fields of a payload go to which columns, when the columns are not simply its fields.
//
// A route is a tree of the source's names. At its leaves stand columns; a record on the way is
// *flattened*: its fields become columns of their own. What no route names is skipped.
#ifndef MORAINE_AVRO_ROUTE_H
#define MORAINE_AVRO_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOR_ROUTE_NONE (-1)

struct mor_route {
    const char *name; // of the field in the source
    int32_t column;   // takes the field; NONE: flattened when it has children, else only noted
    int32_t note;     // index of mor_notes.values that takes the field too, NONE = no
    // Flattened: the field beside it that stands in when this one is null or missing (the image
    // before a change, when there is none after it). NULL = the columns get null. One route of the
    // root may have it.
    const char *otherwise;
    const struct mor_route *children;
    size_t child_count;
};

// A value that the caller looks at besides the columns: text as it stands in the payload (valid as
// long as that), or a whole number.
struct mor_note {
    const uint8_t *text; // NULL = a number
    size_t size_bytes;
    int64_t number;
    bool present;
};

#define MOR_NOTES_MAX 4
struct mor_notes {
    struct mor_note values[MOR_NOTES_MAX];
    bool otherwise; // the route's `otherwise` stood in
    bool absent;    // neither was there: the columns are null
};

#endif
