// Helpers of the tests of avro/.
#ifndef MORAINE_AVRO_TEST_H
#define MORAINE_AVRO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "moraine/avro.h"

#define assert_ok(expr_)                                                                           \
    do {                                                                                           \
        if ((expr_) != MOR_OK)                                                                     \
            fail_msg("%s: %s", mor_status_name(err.status), err.message);                          \
    } while (0)

static inline struct mor_avro_schema *parse_avro(const char *json)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_avro_schema *schema = NULL;
    assert_ok(mor_avro_schema_parse(json, strlen(json), &schema, &err));
    return schema;
}

// Wraps the type in a record with one field "f".
static inline char *record_of(const char *type)
{
    return mor_asprintf(
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"f\",\"type\":%s}]}", type);
}

// Reads a whole file; fails the test when it cannot.
static inline void read_whole_file(const char *path, struct mor_buffer *ret)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        mor_buffer_append(ret, chunk, got);
    fclose(file);
}

#endif
