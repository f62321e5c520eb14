// Small text tools of avro/.
#ifndef MORAINE_AVRO_TEXT_H
#define MORAINE_AVRO_TEXT_H

#include "avro_schema.h"

// Looks through a union with null: *node becomes the other branch (of a union of one branch: that
// branch). True when null was among the branches. Other unions and types: false, *node unchanged.
bool mor_avro_nullable(const struct mor_avro_node **node);
// The name of a union's branch as a field: its type ("string", "array"), the name of a record, enum
// or fixed without its namespace, or with it when another branch has the same name.
#define MOR_AVRO_BRANCH_NAME_SIZE 256
void mor_avro_branch_name(const struct mor_avro_node *node, size_t branch, char *ret_name,
                          size_t capacity);
// Appends the datum of the field's default, which it has. DATA when the default does not fit.
enum mor_status mor_avro_default_datum(const struct mor_avro_member *field,
                                       struct mor_buffer *ret_datum,
                                       struct mor_error *err) MOR_CHECKED;

#endif
