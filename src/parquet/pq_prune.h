// Which rows of a row group can match the predicates.
#ifndef MOR_PQ_PRUNE_H
#define MOR_PQ_PRUNE_H

#include "pq_reader.h"
#include "pq_stats.h"

struct mor_pq_predicate {
    enum mor_parquet_compare compare;
    int32_t leaf; // column index, -1 = the file does not have it: null everywhere
    enum mor_pq_order order;
    bool ordered;            // the value can be compared with bounds of the file
    struct mor_buffer value; // in PLAIN form
};

void mor_pq_predicates_done(struct mor_pq_predicate *predicates, size_t count);
// Ranges of rows of row group `group` that may match, ascending, in r->ranges; none = leave it out.
enum mor_status mor_pq_prune_group(struct mor_parquet_reader *reader, size_t group,
                                   struct mor_error *err) MOR_CHECKED;
// Reads the offset index of a chunk into `arena`; *ret_index NULL when it has none that can be
// used.
enum mor_status mor_pq_read_offset_index(const struct mor_parquet_reader *reader,
                                         const struct mor_pq_chunk *chunk, int64_t num_rows,
                                         struct mor_arena *arena,
                                         struct mor_pq_offset_index **ret_index,
                                         struct mor_error *err) MOR_CHECKED;
enum mor_status mor_pq_read_column_index(const struct mor_parquet_reader *reader,
                                         const struct mor_pq_chunk *chunk, struct mor_arena *arena,
                                         struct mor_pq_column_index **ret_index,
                                         struct mor_error *err) MOR_CHECKED;

#endif
