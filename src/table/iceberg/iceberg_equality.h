// Equality deletes of other writers (specification, "Equality Delete Files"): a file of key values
// that removes every older row of its partition, or of the table, with these values. Never written
// here. They are applied by place, as the other deletes are: the key columns of a data file are
// read, and the positions of the rows that one of its equality deletes names are its removed rows.
//
// Delete files with the same columns and scope are a group. Of a group, the newest sequence number
// of every key is held: 24 bytes a key, at most half full; of more keys than ICEBERG_EQUALITY_BYTES
// take, a part at a time, and the data file is read once for each. What was read of a group is kept
// with the table.
#ifndef MORAINE_TABLE_ICEBERG_EQUALITY_H
#define MORAINE_TABLE_ICEBERG_EQUALITY_H

#include "iceberg/iceberg_state.h"
#include "moraine/base/hash.h"

#define ICEBERG_EQUALITY_BYTES ((size_t)64 << 20)

struct iceberg_equality_group {
    const int32_t *ids; // of the key columns, ascending
    size_t id_count;
    uint32_t *deletes; // indices into the state's deletes
    size_t count;
    struct mor_hash128 name; // of what is in it: kept under it
};

// Groups of a table that are in memory, by name. Zero-initialised is empty.
struct iceberg_equality_cache {
    struct mor_map groups;
    size_t bytes;
};
void iceberg_equality_cache_done(struct iceberg_equality_cache *cache);

// Sorts the state's equality deletes into groups and says in each of them which one it is in.
void iceberg_equality_group(struct iceberg_state *state);
// FATAL, in words, for equality deletes that are not in a Parquet file, DATA for those without
// columns.
enum mor_status iceberg_equality_check(const struct iceberg_live *live,
                                       struct mor_error *err) MOR_CHECKED;
// Adds the positions of the rows that equality deletes remove from a data file. Any thread. FATAL,
// in words, when a key column is not known any more, or is inside of another one.
enum mor_status iceberg_equality_removed(struct iceberg_table *table,
                                         const struct iceberg_state *state,
                                         const struct iceberg_live *file, struct mor_budget *budget,
                                         struct mor_position_set *positions,
                                         struct mor_error *err) MOR_CHECKED;

#endif
