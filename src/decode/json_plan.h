// What a JSON decoder knows of its columns, and what it has learnt of the records: the order of
// keys.
#ifndef MORAINE_JSON_PLAN_H
#define MORAINE_JSON_PLAN_H

#include "moraine/avro/route.h"
#include "moraine/column.h"

struct mor_json_object;

// How one value becomes a slot of a column.
struct mor_json_value {
    enum mor_type type;
    bool nullable; // the column has a validity bitmap
    bool required; // null is refused
    bool as_text;  // UUID: the column keeps the text
    int32_t precision, scale;
    uint32_t fixed_size_bytes;
    // Dates, times and timestamps: number * multiply / divide (floor) has the column's unit; so has
    // microseconds / text_divide of what a text says.
    int64_t multiply, divide, text_divide;
    struct mor_json_object *object;    // STRUCT
    struct mor_json_value *key, *item; // LIST, MAP
    const char *name;                  // for messages
};

enum mor_json_role {
    MOR_JSON_COLUMN,
    MOR_JSON_IGNORED,   // unknown to the table
    MOR_JSON_NOTED,     // noted, then a column when it has one
    MOR_JSON_FLATTENED, // an object whose fields are columns beside this one's
    MOR_JSON_KEPT,      // stands in for a flattened one: its place is remembered
};

// A key that may occur in an object. `next` is the one that followed it in the last record: the
// prediction, compared as bytes, quotes included, before anything is looked up.
struct mor_json_field {
    struct mor_json_value value;
    int32_t column;        // among the vectors of the object, MOR_ROUTE_NONE = none
    uint8_t role;          // enum mor_json_role
    bool must_occur;       // absence is refused even when null is not
    int8_t note;           // NOTED: index of the note
    int32_t otherwise;     // FLATTENED: index of the field that stands in, MOR_ROUTE_NONE = none
    const uint8_t *kept;   // KEPT: where it stands in this record
    uint32_t quoted_size;  // 0 when the name cannot stand in JSON as it is
    const uint8_t *quoted; // followed by at least 32 zero bytes
    const char *name;
    size_t name_size;
    uint64_t seen; // generation in which it last occurred
    struct mor_json_field *next;
};

// Unknown keys whose place is predicted too; further ones are looked up each time.
#define MOR_JSON_IGNORED_MAX           64
#define MOR_JSON_IGNORED_NAME_SIZE_MAX 256

struct mor_json_object {
    size_t field_count;
    struct mor_json_field *fields;
    size_t ignored_count;
    struct mor_json_field *ignored; // [MOR_JSON_IGNORED_MAX]
    uint32_t *slots;   // open addressing over fields and ignored: index + 1; ignored after fields
    size_t slot_count; // power of two
    uint64_t generation;
    struct mor_json_field *first;
    struct mor_json_field stranger; // stands for an unknown key that is not remembered
    struct mor_arena *arena;
};

// Builds the object of `count` routes into `columns`. `source` (may be NULL) is the struct in which
// the source declares fields of the same name. Lives as long as the arena. FATAL when a source type
// cannot become the column's.
enum mor_status mor_json_object_build(struct mor_arena *arena, const struct mor_field *columns,
                                      const struct mor_route *routes, size_t count,
                                      const struct mor_field *source,
                                      struct mor_json_object **ret_object,
                                      struct mor_error *err) MOR_CHECKED;
// The same for a message key: all of the fields must occur; null is allowed where the column allows
// it and there are several.
enum mor_status mor_json_object_build_key(struct mor_arena *arena, const struct mor_field *columns,
                                          const struct mor_route *routes, size_t count,
                                          const struct mor_field *source,
                                          struct mor_json_object **ret_object,
                                          struct mor_error *err) MOR_CHECKED;
// One value for a column of type `field`, which the source declares as `source` (NULL = the same).
enum mor_status mor_json_value_build(struct mor_arena *arena, const struct mor_field *field,
                                     const struct mor_field *source, struct mor_json_value *value,
                                     struct mor_error *err) MOR_CHECKED;
// Routes of fields that are the columns of their name.
struct mor_route *mor_json_routes_of(struct mor_arena *arena, const struct mor_field *fields,
                                     size_t count);

// The field behind slots[i] - 1.
static inline struct mor_json_field *mor_json_object_at(const struct mor_json_object *object,
                                                        size_t index)
{
    return index < object->field_count ? &object->fields[index]
                                       : &object->ignored[index - object->field_count];
}

// Length, first and last eight bytes: enough to tell column names apart, and cheap. Names that
// collide are compared. Eight bytes may be read from `name` whatever its size.
static inline uint64_t mor_json_name_hash(const uint8_t *name, size_t size)
{
    uint64_t first, last = 0;
    memcpy(&first, name, 8);
    if (size >= 8)
        memcpy(&last, name + size - 8, 8);
    else
        first &= ((uint64_t)1 << 8 * size) - 1;
    uint64_t hash = (first ^ size * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32 ^ last) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 32;
}

// The field with that name, NULL when it has not been seen. Eight bytes may be read from `name`.
struct mor_json_field *mor_json_object_lookup(const struct mor_json_object *object,
                                              const uint8_t *name, size_t name_size);
// The field with that name; a new unknown name is remembered while there is room, else `stranger`.
struct mor_json_field *mor_json_object_find(struct mor_json_object *object, const uint8_t *name,
                                            size_t name_size);

#endif
