// Reads one leaf column: pages of a chunk to levels and values of a wanted vector.
//
// A leaf is used by one thread. mor_pq_leaf_read gathers the levels of the rows it read in `def`
// and `rep` and appends their values without nulls to the vector's buffers; mor_pq_assemble spreads
// them.
#ifndef MOR_PQ_LEAF_H
#define MOR_PQ_LEAF_H

#include "pq_codec.h"
#include "pq_convert.h"
#include "pq_decode.h"
#include "pq_stream.h"

struct mor_pq_dictionary {
    bool present;
    size_t count;
    struct mor_buffer data;    // values as wanted, or bytes
    struct mor_buffer offsets; // int32_t[count + 1] for bytes
    size_t longest;            // bytes of the longest value
};

struct mor_pq_page {
    int64_t offset;        // of its header in the file
    size_t count, at;      // entries, and how many were used
    bool all_present;      // every definition level is the highest: def is not filled
    struct mor_buffer def; // uint8_t per entry from def_start on
    size_t def_start,
        def_count;            // flat columns have a window of their levels here, others all of them
    struct mor_pq_rle levels; // flat columns: definition levels behind the window
    struct mor_buffer rep;
    struct mor_buffer body; // decompressed
};

// What the open pages of all columns of a reader hold together.
struct mor_pq_held {
    size_t bytes, bytes_max;
};

struct mor_pq_leaf {
    const struct mor_pq_node *node;                 // borrowed
    struct mor_pq_held *held;                       // borrowed
    size_t held_body, held_levels, held_dictionary; // this leaf's share
    struct mor_pq_convert convert;
    bool levels_only; // nobody wants the values
    bool verify;      // check page checksums
    // chunk
    const struct mor_pq_chunk *chunk; // NULL = none open
    int32_t row_group;
    struct mor_pq_stream stream;
    int64_t next_page;   // file offset
    int64_t values_left; // entries of the chunk in pages not yet loaded
    bool first_entry;    // nothing of the chunk was used
    int64_t row;         // next row of the row group, kept by read, skip and seek
    const struct mor_pq_offset_index *index; // borrowed, NULL = pages cannot be jumped over
    bool jumped; // values_left is not known: the index says which page is the last
    struct mor_pq_dictionary dictionary;
    struct mor_pq_page page;
    struct mor_pq_decoder decoder;
    struct mor_pq_codec_state *codec;      // borrowed, shared by the leaves of a reader
    int64_t pages_read, checksums_checked; // of the chunk
    // what the last read gathered
    size_t entry_count, value_count;
    bool all_present;           // def not filled
    struct mor_buffer def, rep; // uint8_t per entry
    struct mor_buffer booleans; // uint8_t per value of a BOOL column
    struct mor_buffer scratch;
};

void mor_pq_leaf_init(struct mor_pq_leaf *leaf, const struct mor_pq_node *node,
                      const struct mor_byte_source *source, struct mor_pq_held *held,
                      struct mor_pq_codec_state *codec, struct mor_budget *budget);
void mor_pq_leaf_done(struct mor_pq_leaf *leaf);
// Turns to a chunk. data_end: where the file's data ends (footer).
enum mor_status mor_pq_leaf_open(struct mor_pq_leaf *leaf, const struct mor_pq_chunk *chunk,
                                 int32_t row_group, int64_t data_end,
                                 struct mor_pq_segment *segment, struct mor_error *err) MOR_CHECKED;
// File range of a chunk; DATA when it lies outside [4, data_end).
enum mor_status mor_pq_chunk_range(const struct mor_pq_chunk *chunk, int64_t data_end,
                                   int64_t *ret_start, int64_t *ret_end,
                                   struct mor_error *err) MOR_CHECKED;
// Reads up to row_count rows, appending values to `vector` (NULL when levels_only). Fewer rows come
// back at the end of the chunk, or, for a flat byte array, when its bytes reach bytes_max.
enum mor_status mor_pq_leaf_read(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                 size_t row_count, size_t bytes_max, size_t *ret_row_count,
                                 struct mor_error *err) MOR_CHECKED;
// Passes over exactly row_count rows.
enum mor_status mor_pq_leaf_skip(struct mor_pq_leaf *leaf, size_t row_count,
                                 struct mor_error *err) MOR_CHECKED;

// Goes to a row at or behind the current one, jumping over pages where the offset index allows.
enum mor_status mor_pq_leaf_seek(struct mor_pq_leaf *leaf, int64_t row,
                                 struct mor_error *err) MOR_CHECKED;

// pq_page.c: loads the dictionary page when the chunk has one in front of its data pages.
enum mor_status mor_pq_leaf_load_dictionary(struct mor_pq_leaf *leaf, int64_t first_data_page,
                                            struct mor_error *err) MOR_CHECKED;
// pq_page.c: loads the next data page of the chunk (dictionary pages on the way); DATA when the
// chunk has no more.
enum mor_status mor_pq_leaf_next_page(struct mor_pq_leaf *leaf, struct mor_error *err) MOR_CHECKED;
// Counts `bytes` in place of *share; DATA when all columns together pass the limit.
enum mor_status mor_pq_leaf_hold(struct mor_pq_leaf *leaf, size_t *share, size_t bytes,
                                 struct mor_error *err) MOR_CHECKED;
// Makes definition levels at page->at readable for some of *entries entries, which is cut to those.
enum mor_status mor_pq_leaf_levels(struct mor_pq_leaf *leaf, size_t *entries,
                                   struct mor_error *err) MOR_CHECKED;
// Adds file offset, row group and column to an error.
enum mor_status mor_pq_leaf_fail(const struct mor_pq_leaf *leaf, struct mor_error *err);
// Appends `count` values to the vector's buffers; *ret_count fewer when bytes_max was reached.
enum mor_status mor_pq_leaf_values(struct mor_pq_leaf *leaf, struct mor_vector *vector,
                                   size_t count, size_t bytes_max, size_t *ret_count,
                                   struct mor_error *err) MOR_CHECKED;

#endif
