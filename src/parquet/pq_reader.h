// The file reader behind the public face, in the parts that its source files share.
#ifndef MOR_PQ_READER_H
#define MOR_PQ_READER_H

#include "moraine/parquet.h"
#include "pq_plan.h"

struct mor_pq_predicate;

// Rows [first, end) of a row group that are to be read.
struct mor_pq_range {
    int64_t first, end;
};

struct mor_pq_column_state {
    struct mor_vector carry; // rows that were decoded and did not fit the last batch
    size_t carry_at;
    bool carry_used;
    size_t nested_rows; // rows decoded at a time, so that a batch stays within its bytes
};

struct mor_parquet_reader {
    struct mor_byte_source source;
    struct mor_budget *budget;
    struct mor_arena arena; // footer metadata
    struct mor_buffer footer;
    int64_t data_end; // where the footer begins
    struct mor_pq_file file;
    struct mor_pq_tree tree;
    struct mor_schema *schema; // the file's own
    struct mor_pq_view *views;
    struct mor_parquet_key_value *key_values;
    int64_t row_count;
    // projection
    const struct mor_schema *wanted; // borrowed or `schema`
    struct mor_arena plan_arena;
    struct mor_pq_plan *plans;
    struct mor_pq_leaves leaves;
    struct mor_pq_column_state *columns;
    bool started;
    // place
    size_t next_group; // row group to be opened next
    size_t group;      // open row group
    bool group_open;
    int64_t group_position; // file position of its first row
    int64_t group_row;      // next row within it
    int64_t next_position;  // file position of the row group to be opened next
    struct mor_pq_segment *segments;
    size_t segment_count;
    // what is left out
    bool skip_checksums;
    struct mor_pq_predicate *predicates;
    size_t predicate_count;
    struct mor_arena group_arena; // indexes of the open row group
    struct mor_pq_range *ranges;  // rows of the open row group that are read
    size_t range_count, range;
};

// Adds row group and column (-1 = none) to an error that has none yet; returns its class.
enum mor_status mor_pq_reader_fail(size_t group, int32_t column, struct mor_error *err);
// Opens the chunks of row group `group` for all leaves of the plan (pq_group.c).
enum mor_status mor_pq_reader_open_group(struct mor_parquet_reader *reader, size_t group,
                                         struct mor_error *err) MOR_CHECKED;
// Goes to the first row of r->ranges[r->range].
enum mor_status mor_pq_reader_open_range(struct mor_parquet_reader *reader,
                                         struct mor_error *err) MOR_CHECKED;
void mor_pq_reader_close_group(struct mor_parquet_reader *reader);
// Reads up to row_count rows of the open row group into the batch's columns (pq_batch.c); the batch
// gets fewer when a column's bytes reach their limit.
enum mor_status mor_pq_reader_read_rows(struct mor_parquet_reader *reader, size_t row_count,
                                        struct mor_batch *batch, struct mor_error *err) MOR_CHECKED;

#endif
