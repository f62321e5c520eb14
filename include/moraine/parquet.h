// Parquet: files written from and read into columnar batches (parquet-format 2.10).
//
// The module moves bytes through two small interfaces, so it knows nothing of storage.
#ifndef MORAINE_PARQUET_H
#define MORAINE_PARQUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "moraine/column.h"

// Where a writer's bytes go, front to back. write returns a status class and fills *err.
struct mor_byte_sink {
    void *context;
    enum mor_status (*write)(void *context, const void *bytes, size_t size_bytes,
                             struct mor_error *err);
    // Optional (NULL = cannot): reads back what was written; finish compares the footer with it.
    enum mor_status (*read)(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                            struct mor_error *err);
};

// Where a reader's bytes come from: exactly [offset, offset + size_bytes). Must be callable from
// any thread.
struct mor_byte_source {
    void *context;
    int64_t size_bytes;
    enum mor_status (*read)(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                            struct mor_error *err);
};

enum mor_parquet_codec {
    MOR_PARQUET_UNCOMPRESSED,
    MOR_PARQUET_SNAPPY,
    MOR_PARQUET_GZIP,
    MOR_PARQUET_LZ4_RAW,
    MOR_PARQUET_ZSTD,
};

struct mor_parquet_key_value {
    const char *key;
    const char *value;
};

// How the values of a column are laid out. AUTO looks at the first page: a dictionary when values
// repeat, else what is smallest of the encodings the profile allows.
enum mor_parquet_encoding {
    MOR_PARQUET_AUTO,
    MOR_PARQUET_PLAIN,
    MOR_PARQUET_DICTIONARY, // RLE_DICTIONARY, falling back when the dictionary grows too large
    MOR_PARQUET_DELTA_BINARY_PACKED,     // INT32, INT64
    MOR_PARQUET_DELTA_LENGTH_BYTE_ARRAY, // BYTE_ARRAY
    MOR_PARQUET_DELTA_BYTE_ARRAY,        // BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY
    MOR_PARQUET_BYTE_STREAM_SPLIT,       // FLOAT, DOUBLE, INT32, INT64, FIXED_LEN_BYTE_ARRAY
    MOR_PARQUET_RLE,                     // BOOLEAN
};

enum mor_parquet_profile {
    // What AUTO may pick: PLAIN, RLE_DICTIONARY, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY.
    // Arrow,
    // DuckDB and Spark 3.5 by itself read it; under Hudi's Spark readers, texts of the last
    // encoding
    // came back wrong, so Hudi's base files are CONSERVATIVE.
    MOR_PARQUET_COMPATIBLE,
    // Only PLAIN and RLE_DICTIONARY, for readers of any age.
    MOR_PARQUET_CONSERVATIVE,
    // Also DELTA_BYTE_ARRAY and BYTE_STREAM_SPLIT, which Spark 3.5's vectorised reader refuses.
    MOR_PARQUET_COMPACT,
};

// Settings of one leaf column.
struct mor_parquet_column_options {
    const char *path; // "id", "address.city", "tags.list.element", "props.key_value.key"
    enum mor_parquet_encoding encoding;
    bool bloom_filter;
    double bloom_filter_fpp; // 0 = 0.01
    // The column, a text or bytes at the top of the schema, holds this in every row; its vectors
    // are not looked at. Borrowed for open; NULL = the column comes with the rows.
    const void *constant;
    size_t constant_size_bytes;
};

// Rows of one top-level column: slots [first, first + as many as are appended) of a vector.
struct mor_parquet_column_rows {
    const struct mor_vector *vector; // borrowed; NULL for a constant column
    size_t first;
};

struct mor_parquet_sorting_column {
    const char *path;
    bool descending, nulls_first;
};

struct mor_parquet_writer_options {
    enum mor_parquet_codec codec;
    int32_t codec_level;        // zstd, gzip; 0 = the codec's default
    int32_t data_page_version;  // 1 or 2; 0 = 1
    size_t row_group_rows_max;  // sizes: 0 = the default
    size_t row_group_bytes_max; // uncompressed
    size_t page_bytes_max;
    bool write_page_index;
    struct mor_budget *budget; // borrowed, may be NULL
    const char *created_by;    // NULL = "moraine version <version>"
    enum mor_parquet_profile profile;
    size_t page_rows_max;
    size_t dictionary_bytes_max;
    size_t bound_bytes_max;  // longer minima and maxima of byte arrays are cut
    bool write_checksums;    // CRC-32 per page
    bool decimal_as_integer; // DECIMAL up to 9 / 18 digits as INT32 / INT64 instead of fixed bytes
    size_t thread_count;     // columns are encoded by that many threads; 0 or 1 = the caller's
    const struct mor_parquet_column_options *columns; // borrowed for open
    size_t column_count;
    const struct mor_parquet_sorting_column *sorting; // said of every row group, not checked
    size_t sorting_count;
};
#define MOR_PARQUET_WRITER_OPTIONS                                                                 \
    ((struct mor_parquet_writer_options){.codec = MOR_PARQUET_ZSTD,                                \
                                         .codec_level = 1,                                         \
                                         .data_page_version = 1,                                   \
                                         .row_group_rows_max = 1u << 20,                           \
                                         .row_group_bytes_max = 128u << 20,                        \
                                         .page_bytes_max = 1u << 20,                               \
                                         .write_page_index = true,                                 \
                                         .write_checksums = true})

// A file being written; one thread at a time.
struct mor_parquet_writer;
enum mor_status mor_parquet_writer_open(const struct mor_schema *schema,
                                        const struct mor_byte_sink *sink,
                                        const struct mor_parquet_writer_options *options,
                                        struct mor_parquet_writer **ret_writer,
                                        struct mor_error *err) MOR_CHECKED;
// Footer key-value pair, copied; any time before finish.
void mor_parquet_writer_add_metadata(struct mor_parquet_writer *writer, const char *key,
                                     const char *value);
// Appends rows [first, first + count) of a batch whose schema equals the writer's.
enum mor_status mor_parquet_writer_append(struct mor_parquet_writer *writer,
                                          const struct mor_batch *batch, size_t first, size_t count,
                                          struct mor_error *err) MOR_CHECKED;
// The same for columns that come from several batches: one entry for each field of the schema,
// their vectors of its types.
enum mor_status mor_parquet_writer_append_columns(struct mor_parquet_writer *writer,
                                                  const struct mor_parquet_column_rows *columns,
                                                  size_t count, struct mor_error *err) MOR_CHECKED;
// Writes what is buffered and the footer. Making the bytes durable is the sink's business.
enum mor_status mor_parquet_writer_finish(struct mor_parquet_writer *writer,
                                          struct mor_error *err) MOR_CHECKED;
int64_t mor_parquet_writer_row_count(const struct mor_parquet_writer *writer);
int64_t mor_parquet_writer_size_bytes(
    const struct mor_parquet_writer *writer); // bytes given to the sink so far
// After finish: where the first page of each row group begins, ascending, in the arena.
void mor_parquet_writer_row_groups(const struct mor_parquet_writer *writer, struct mor_arena *arena,
                                   int64_t **ret_offsets, size_t *ret_count);
// After finish: bytes that the pages of the leaf column with this field id take in the file; -1 =
// there is no such leaf.
int64_t mor_parquet_writer_column_bytes(const struct mor_parquet_writer *writer, int32_t field_id);
void mor_parquet_writer_free(struct mor_parquet_writer *writer); // NULL allowed

// A file being read; one thread at a time.
struct mor_parquet_reader;
enum mor_status mor_parquet_reader_open(const struct mor_byte_source *source,
                                        struct mor_budget *budget,
                                        struct mor_parquet_reader **ret_reader,
                                        struct mor_error *err) MOR_CHECKED;
const struct mor_schema *
mor_parquet_reader_schema(const struct mor_parquet_reader *reader); // lives as the reader
int64_t mor_parquet_reader_row_count(const struct mor_parquet_reader *reader);
size_t mor_parquet_reader_metadata(const struct mor_parquet_reader *reader,
                                   const struct mor_parquet_key_value **ret_pairs);
// Reads into `wanted` (matched by field id when both have one, else by name; absent columns are
// null, int->long, float->double and decimal widening are applied). NULL = the file's own schema.
// Must be called before the first mor_parquet_reader_next. The schema is borrowed for the reader's
// life.
enum mor_status mor_parquet_reader_project(struct mor_parquet_reader *reader,
                                           const struct mor_schema *wanted,
                                           struct mor_error *err) MOR_CHECKED;
// A condition on one column; the value is laid out as in a vector of the file's type of that column
// (INT32, FLOAT, DATE...: 4 bytes, INT64, DOUBLE, TIMESTAMP_*: 8, DECIMAL: 16 with the file's
// scale, BOOL: 1, others: their bytes).
enum mor_parquet_compare {
    MOR_PARQUET_EQUAL,
    MOR_PARQUET_LESS,
    MOR_PARQUET_LESS_OR_EQUAL,
    MOR_PARQUET_GREATER,
    MOR_PARQUET_GREATER_OR_EQUAL,
    MOR_PARQUET_IS_NULL,
    MOR_PARQUET_IS_NOT_NULL,
};
struct mor_parquet_predicate {
    const char *path; // field names from the top, joined by '.'; not through lists and maps
    enum mor_parquet_compare compare;
    const void *value; // NULL for the null tests
    size_t value_size_bytes;
};
// Leaves out row groups and pages that hold no row for which all predicates are true, as far as
// statistics, page index and bloom filters tell; other rows still have to be tested by the caller.
// Statistics that are missing, or not to be trusted, leave out nothing. A column the file does not
// have is taken as null. Call before the first mor_parquet_reader_next; predicates are copied.
enum mor_status mor_parquet_reader_filter(struct mor_parquet_reader *reader,
                                          const struct mor_parquet_predicate *predicates,
                                          size_t count, struct mor_error *err) MOR_CHECKED;
// Whether page checksums are verified where a file has them; true when not called.
void mor_parquet_reader_verify_checksums(struct mor_parquet_reader *reader, bool verify);
// How much the open pages and dictionaries of all columns may take together; 4 GiB when not called.
// A file that needs more is MOR_DATA.
void mor_parquet_reader_limit_bytes(struct mor_parquet_reader *reader, size_t bytes_max);
// Replaces the rows of `batch` (made with the wanted schema) with the next at most row_count_max
// rows; batch->row_count 0 = end. *ret_row_position: position in the file of the first row; may be
// NULL.
enum mor_status mor_parquet_reader_next(struct mor_parquet_reader *reader, size_t row_count_max,
                                        struct mor_batch *batch, int64_t *ret_row_position,
                                        struct mor_error *err) MOR_CHECKED;
void mor_parquet_reader_free(struct mor_parquet_reader *reader);

// Describes the file: schema, row groups, columns with encodings, sizes and statistics, page index,
// bloom filters, key-value metadata. Text for people, or one JSON object. Appends to `ret_text`.
enum mor_status mor_parquet_describe(struct mor_parquet_reader *reader, bool json,
                                     struct mor_buffer *ret_text,
                                     struct mor_error *err) MOR_CHECKED;

// ---- a file against itself ----------------------------------------------------------------------

struct mor_parquet_verify_options {
    struct mor_budget *budget; // borrowed, may be NULL
    // One sentence per fault: row group, column, what is stated and what is there.
    void (*report)(void *context, const char *text);
    void *context;
};
struct mor_parquet_verified {
    int64_t row_count, chunk_count, page_count;
    int64_t checksums_checked;                   // pages that carry one
    int64_t bounds_checked, page_bounds_checked; // chunks and pages with minimum or maximum
    int64_t blooms_checked;
    int64_t fault_count;
};
// Reads every page, checksums included, and compares values with what the file states of them: row
// and null counts, minima and maxima of chunks and pages, bloom filters. A chunk that cannot be
// read is a fault like the others; DATA: the footer itself cannot be read. Values that the reader
// turns into another type (INT96, unsigned and half-precision numbers) are read and counted, their
// bounds are not compared. Holds one column chunk's page and 64 MiB at a time.
enum mor_status mor_parquet_verify(const struct mor_byte_source *source,
                                   const struct mor_parquet_verify_options *options,
                                   struct mor_parquet_verified *ret_verified,
                                   struct mor_error *err) MOR_CHECKED;

#endif
