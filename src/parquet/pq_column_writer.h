// One leaf column of the row group that is being written: stages values of a page, encodes and
// compresses pages, keeps them in memory until the row group is flushed.
#ifndef MOR_PQ_COLUMN_WRITER_H
#define MOR_PQ_COLUMN_WRITER_H

#include "moraine/parquet.h"
#include "pq_codec.h"
#include "pq_dict.h"
#include "pq_shred.h"
#include "pq_stats.h"

struct mor_pq_writer_config {
    int32_t codec, codec_level;
    bool page_v2;
    enum mor_parquet_profile profile;
    bool checksums;
    bool page_index;
    size_t page_bytes_max, page_rows_max, dictionary_bytes_max, bound_bytes_max;
    struct mor_budget *budget;
};

// What the page index says of a page.
struct mor_pq_page_info {
    size_t offset; // in the pages buffer
    int32_t size_bytes;
    int64_t first_row, value_count, null_count, unencoded_bytes;
    bool has_bounds;          // false: all null, or a NaN among the values
    struct mor_pq_cut bounds; // in the chunk's arena
    int64_t *rep_histogram, *def_histogram;
};

enum mor_pq_choice { MOR_PQ_UNDECIDED, MOR_PQ_CHOSE_DICTIONARY, MOR_PQ_CHOSE_DIRECT };

// What encoding needs besides the column itself: one per thread, not one per column, because
// contexts of codecs are large and files may have thousands of columns.
struct mor_pq_workspace {
    struct mor_pq_codec_state codec;
    struct mor_pq_shredded shredded;
    struct mor_buffer body, packed, indexes, used;
    struct mor_pq_workspace *next; // of those nobody uses
};

void mor_pq_workspace_init(struct mor_pq_workspace *work, struct mor_budget *budget);
void mor_pq_workspace_done(struct mor_pq_workspace *work);

struct mor_pq_column_writer {
    const struct mor_pq_writer_config *config; // borrowed
    const struct mor_pq_path *path;            // borrowed
    const struct mor_pq_element *element;      // borrowed
    bool text;
    bool constant; // every row holds the dictionary's only value; nothing is staged
    // choice, kept from row group to row group
    enum mor_pq_choice choice;
    int32_t direct_encoding; // used without or beyond the dictionary
    // page being staged
    struct mor_pq_values values;
    struct mor_buffer def, rep; // uint8_t per entry; def left empty while every entry has a value
    size_t entry_count, row_count, null_count;
    struct mor_pq_bounds page_bounds;
    // chunk so far
    struct mor_arena arena;
    struct mor_buffer pages; // headers and bodies of data pages
    struct mor_buffer infos; // struct mor_pq_page_info[]
    struct mor_pq_dict dict;
    bool dict_open;            // still used for new pages
    size_t dict_page_count;    // pages encoded with it
    size_t encoding_pages[16]; // data pages by encoding
    int64_t chunk_values, chunk_nulls, chunk_rows, chunk_unencoded_bytes;
    size_t uncompressed_bytes;
    struct mor_pq_bounds chunk_bounds;
    int64_t *rep_histogram, *def_histogram;
    // bloom filter: hashes of the chunk's values
    bool bloom;
    double bloom_fpp;
    struct mor_buffer hashes;      // uint64_t[]
    struct mor_pq_workspace *work; // borrowed while a call is under way
    struct mor_error error;        // of a worker thread
    enum mor_status status;
};

void mor_pq_column_writer_init(struct mor_pq_column_writer *column,
                               const struct mor_pq_writer_config *config,
                               const struct mor_pq_path *path,
                               const struct mor_pq_element *element);
void mor_pq_column_writer_done(struct mor_pq_column_writer *column);
// Of a flat byte array, before its first row: all rows hold these bytes, which are copied.
void mor_pq_column_set_constant(struct mor_pq_column_writer *column, const void *bytes,
                                size_t size_bytes);

// Adds rows [first, first + count) of the top-level vector the path begins in.
enum mor_status mor_pq_column_append(struct mor_pq_column_writer *column,
                                     const struct mor_vector *top, size_t first, size_t count,
                                     struct mor_error *err) MOR_CHECKED;
// Encodes what is staged.
enum mor_status mor_pq_column_flush_page(struct mor_pq_column_writer *column,
                                         struct mor_error *err) MOR_CHECKED;
// Uncompressed bytes of the chunk so far, staged values included.
size_t mor_pq_column_bytes(const struct mor_pq_column_writer *column);
// Appends the dictionary page to `out` when one is needed; returns whether it is.
enum mor_status mor_pq_column_dictionary_page(struct mor_pq_column_writer *column,
                                              struct mor_buffer *out, bool *ret_written,
                                              struct mor_error *err) MOR_CHECKED;
// Forgets the chunk.
void mor_pq_column_reset(struct mor_pq_column_writer *column);

// Picks dictionary or direct encoding from the staged page (pq_choose.c).
enum mor_status mor_pq_column_choose(struct mor_pq_column_writer *column,
                                     struct mor_error *err) MOR_CHECKED;

#endif
