// Merge on read: the rows of a table as its readers see them, of one file group or of all.
#ifndef MORAINE_MERGE_H
#define MORAINE_MERGE_H

#include "moraine/table.h"

// ---- conditions on rows -------------------------------------------------------------------------

// A condition such as: country in ('de', 'fr') and amount >= 10.5 and not (note is null)
//
//   or, and, not, ( )           = != <> < <= > >=          [not] between A and B
//   [not] in (A, B, ...)        is [not] null              a boolean column by itself
//   [not] like 'a%_b'
//
// Columns are names of the table, quoted with "..." when they need it; literals are numbers, texts
// in '...' ('' is one quote) and true or false, and are read as values of the column's type: dates
// '2026-01-31', timestamps '2026-01-31T05:06:07Z'. As in SQL, a row stands when the condition is
// true, and comparing with null is neither true nor false.
struct mor_filter;
// DATA with the place in the text when it is no condition on columns of the table. The columns are
// copied; the table may go.
enum mor_status mor_filter_parse(const struct mor_table *table, const char *text,
                                 struct mor_filter **ret_filter, struct mor_error *err) MOR_CHECKED;
void mor_filter_free(struct mor_filter *filter); // NULL allowed
// Columns that the condition names, once each; lives as long as the filter.
const struct mor_schema *mor_filter_columns(const struct mor_filter *filter);
#define MOR_FILTER_ROWS_MAX 4096
// Rows of the batch for which the condition is true; ret_rows has room for all of them. The batch
// has the filter's columns by name and at most MOR_FILTER_ROWS_MAX rows. Any thread.
size_t mor_filter_select(const struct mor_filter *filter, const struct mor_batch *batch,
                         uint32_t *ret_rows);

// ---- one file group -----------------------------------------------------------------------------

struct mor_slice_options {
    const struct mor_schema *wanted; // columns of the rows; borrowed for the reader's life
    const struct mor_filter *filter; // only rows for which it is true; NULL = all; borrowed
    size_t index_bytes_max;          // memory for the keys of changed rows; 0 = 64 MiB
    // Tables with places: the same file in another version; only rows that it has not. NULL = all.
    const struct mor_slice *without;
    struct mor_budget *budget;
};

// The rows of one slice, in memory that does not depend on its size: base and changed rows are
// streamed, only the keys of changed rows are held. When those take more than index_bytes_max, the
// slice is read several times, each time for a part of the keys.
struct mor_slice_reader;
// One thread per reader, several readers of one table at once.
enum mor_status mor_slice_reader_open(struct mor_table *table, const struct mor_slice *slice,
                                      const struct mor_slice_options *options,
                                      struct mor_slice_reader **ret_reader,
                                      struct mor_error *err) MOR_CHECKED;
// Replaces the rows of `batch` (made with the wanted schema); row_count 0 = end.
enum mor_status mor_slice_reader_next(struct mor_slice_reader *reader, struct mor_batch *batch,
                                      struct mor_error *err) MOR_CHECKED;
// What was read so far; complete at the end.
struct mor_slice_counts {
    int64_t base_rows;
    int64_t delta_rows, delta_deletes; // as the deltas hold them
    int64_t updated_rows;              // rows of deltas that stand
    int64_t passes;
};
struct mor_slice_counts mor_slice_reader_counts(const struct mor_slice_reader *reader);
void mor_slice_reader_free(struct mor_slice_reader *reader); // NULL allowed

// ---- a whole table ------------------------------------------------------------------------------

struct mor_scan_options {
    const char *const *columns; // projection, none = all
    size_t column_count;
    const char *version;             // NULL = newest
    const struct mor_filter *filter; // NULL = all rows; borrowed for the scan's life
    size_t thread_count;             // file groups read at once; 0 or 1 = by the caller, in order
    size_t index_bytes_max;          // of each file group, as above
    struct mor_budget *budget;
};

// A running scan; one thread.
struct mor_scan;
enum mor_status mor_scan_open(struct mor_table *table, const struct mor_scan_options *options,
                              struct mor_scan **ret_scan, struct mor_error *err) MOR_CHECKED;
const struct mor_schema *mor_scan_schema(const struct mor_scan *scan);
// Replaces the rows of `batch` (made with mor_scan_schema); row_count 0 = end.
enum mor_status mor_scan_next(struct mor_scan *scan, struct mor_batch *batch,
                              struct mor_error *err) MOR_CHECKED;
void mor_scan_free(struct mor_scan *scan);

// ---- changes ------------------------------------------------------------------------------------

enum mor_change { MOR_CHANGE_INSERT, MOR_CHANGE_UPDATE, MOR_CHANGE_DELETE };
#define MOR_CHANGE_COLUMN "_change"

struct mor_diff_options {
    const char *from, *to;      // versions; to = NULL: the newest
    const char *const *columns; // projection, none = all
    size_t column_count;
    const struct mor_filter *filter; // on rows as they are given out; NULL = all; borrowed
    size_t index_bytes_max;          // memory for the keys of changed file groups; 0 = 64 MiB
    struct mor_budget *budget;
};

// The rows by which two versions of a table differ: those that `to` has and `from` had not, those
// that another commit wrote since, both as `to` has them, and those that are gone, as `from` had
// them. What came and went in between is not seen. A row that moved to another table partition is
// gone there and new here.
//
// Tables with places do not tell which commit wrote a row: its values do, so one that was written
// again as it was is no change; and a key is one in the whole table, so one that moved to another
// partition is an update. Without a key a row is its values, as often as it is there. Both versions
// must be in the table still (NOT_FOUND). One thread; memory does not depend on the size of the
// table.
struct mor_diff;
enum mor_status mor_diff_open(struct mor_table *table, const struct mor_diff_options *options,
                              struct mor_diff **ret_diff, struct mor_error *err) MOR_CHECKED;
// The column MOR_CHANGE_COLUMN ("insert", "update", "delete"), then the wanted ones.
const struct mor_schema *mor_diff_schema(const struct mor_diff *diff);
// Replaces the rows of `batch` (made with mor_diff_schema); row_count 0 = end.
enum mor_status mor_diff_next(struct mor_diff *diff, struct mor_batch *batch,
                              struct mor_error *err) MOR_CHECKED;
void mor_diff_free(struct mor_diff *diff); // NULL allowed

// ---- values -------------------------------------------------------------------------------------

// Below, at or above 0 as slot `a` is less than, equal to or greater than slot `b` (same type,
// neither null). NaN is greater than every number, nested values are all equal.
int mor_ordering_compare(const struct mor_vector *a_vector, size_t a,
                         const struct mor_vector *b_vector, size_t b);

#endif
