// Small text tools of avro/.
#ifndef MORAINE_AVRO_TEXT_H
#define MORAINE_AVRO_TEXT_H

#include "avro_schema.h"

// [A-Za-z_][A-Za-z0-9_]*, the specification's rule for names.
bool mor_avro_name_is_valid(const char *name);
// Looks through a union with null: *node becomes the other branch (of a union of one branch: that
// branch). True when null was among the branches. Other unions and types: false, *node unchanged.
bool mor_avro_nullable(const struct mor_avro_node **node);
// Appends the datum of the field's default, which it has. DATA when the default does not fit.
enum mor_status mor_avro_default_datum(const struct mor_avro_member *field,
                                       struct mor_buffer *ret_datum,
                                       struct mor_error *err) MOR_CHECKED;

#endif
