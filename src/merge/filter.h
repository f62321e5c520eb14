// Conditions on rows, inside this module: the tree, its evaluation, and what it says of files.
#ifndef MORAINE_MERGE_FILTER_H
#define MORAINE_MERGE_FILTER_H

#include "moraine/merge.h"
#include "moraine/parquet.h"

enum filter_kind {
    FILTER_AND,     // of the children
    FILTER_OR,      // of the children
    FILTER_NOT,     // of the only child
    FILTER_COMPARE, // column with values[0]
    FILTER_IN,      // column with one of the values
    FILTER_LIKE,    // column with pattern
    FILTER_IS_NULL,
};

enum filter_compare {
    FILTER_EQUAL,
    FILTER_NOT_EQUAL,
    FILTER_LESS,
    FILTER_LESS_OR_EQUAL,
    FILTER_GREATER,
    FILTER_GREATER_OR_EQUAL,
};

struct filter_node {
    enum filter_kind kind;
    enum filter_compare compare;
    struct filter_node **children; // AND, OR, NOT
    size_t child_count;
    const struct mor_field *field; // others; in the filter's schema
    struct mor_vector values;      // COMPARE, IN: of the field's type
    uint32_t *sorted;              // IN: slots of the values, ascending; in the arena
    const char *pattern;           // LIKE
    struct filter_node *next;      // of all nodes
};

struct mor_filter {
    struct mor_schema *columns; // that the condition names, once each
    struct filter_node *root, *nodes;
    struct mor_arena arena; // nodes and texts
};

// False when no row of the table partition can satisfy the condition.
bool mor_filter_partition_may_match(const struct mor_filter *filter, const struct mor_table *table,
                                    const char *partition);
// Conditions that every row of a file must meet, as the Parquet reader takes them. `schema`: of the
// file. keys_only: only those on columns that all versions of a row share. Values are borrowed from
// the filter.
size_t mor_filter_predicates(const struct mor_filter *filter, const struct mor_schema *schema,
                             bool keys_only, const struct mor_table *table, struct mor_arena *arena,
                             struct mor_parquet_predicate **ret_predicates);
// Reads `text` as a value of the field's type and appends it; false when it is none.
bool mor_filter_append_literal(struct mor_vector *vector, const char *text, size_t length);

#endif
