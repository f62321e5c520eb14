// The table of the JSON corpora and of the fuzz target: a column of every type.
#ifndef MORAINE_DECODE_CORPUS_H
#define MORAINE_DECODE_CORPUS_H

#include <stdlib.h>

#include "moraine/column.h"

static inline struct mor_schema *corpus_schema(void)
{
    static const char *const columns[][2] = {
        {"i", "int"},
        {"f", "float"},
        {"d", "double"},
        {"b", "boolean"},
        {"s", "string"},
        {"dec", "decimal(12,2)"},
        {"day", "date"},
        {"tms", "time_ms"},
        {"tus", "time_us"},
        {"at_ms", "timestamp_ms"},
        {"at_us", "timestamp_us"},
        {"u", "uuid"},
        {"bin", "bytes"},
        {"fix", "fixed(4)"},
        {"e", "enum"},
        {"j", "json"},
        {"l", "list<long>"},
        {"m", "map<string>"},
    };
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *s = mor_schema_new("t");
    mor_schema_add(s, NULL, "id", MOR_TYPE_INT64, false);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        struct mor_field *field = mor_schema_add(s, NULL, columns[i][0], MOR_TYPE_INT32, true);
        if (mor_type_parse(s, field, columns[i][1], &err) != MOR_OK)
            abort();
    }
    struct mor_field *st = mor_schema_add(s, NULL, "st", MOR_TYPE_STRUCT, true);
    mor_schema_add(s, st, "a", MOR_TYPE_INT64, false);
    mor_schema_add(s, st, "b", MOR_TYPE_STRING, true);
    struct mor_field *list = mor_schema_add(s, NULL, "rows", MOR_TYPE_LIST, true);
    struct mor_field *row = mor_schema_add(s, list, "element", MOR_TYPE_STRUCT, true);
    mor_schema_add(s, row, "x", MOR_TYPE_INT32, true);
    mor_schema_add(s, row, "y", MOR_TYPE_INT32, true);
    return s;
}

#endif
