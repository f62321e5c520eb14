// Log files: a sequence of blocks. All integers big-endian.
//
//   off  bytes  block
//     0  6      "#HUDI#"
//     6  8      L: bytes from here to the end of the block
//    14  4      format version, 1
//    18  4      block type
//    22  4+     header: count, per entry key ordinal, length, UTF-8 value
//        8+     content length, content
//        4+     footer, as the header; empty
//        8      L + 6, so that a reader can go backwards
//
// Data content:   version 3, record count, per record length and Avro datum of the SCHEMA header.
// Delete content: version 3, length, Avro datum HoodieDeleteRecordList.
#ifndef MORAINE_TABLE_HUDI_LOG_H
#define MORAINE_TABLE_HUDI_LOG_H

#include "hudi/hudi_timeline.h"
#include "moraine/base/memory.h"
#include "moraine/parquet.h"

enum hudi_block_type {
    HUDI_BLOCK_COMMAND,
    HUDI_BLOCK_DELETE,
    HUDI_BLOCK_CORRUPT,
    HUDI_BLOCK_AVRO,
    HUDI_BLOCK_HFILE,
    HUDI_BLOCK_PARQUET,
    HUDI_BLOCK_CDC,
};

enum hudi_header {
    HUDI_HEADER_INSTANT,
    HUDI_HEADER_TARGET_INSTANT,
    HUDI_HEADER_SCHEMA,
    HUDI_HEADER_COMMAND,
    HUDI_HEADER_COMPACTED_TIMES,
    HUDI_HEADER_RECORD_POSITIONS,
    HUDI_HEADER_BLOCK_ID,
    HUDI_HEADER_IS_PARTIAL,
    HUDI_HEADER_BASE_INSTANT,
    HUDI_HEADER_COUNT,
};

#define HUDI_BLOCK_BYTES_TARGET (16u << 20) // readers hold whole blocks in memory
#define HUDI_BLOCK_CONTENT_MAX  (1u << 30)
#define HUDI_BLOCK_HEADER_MAX   (8u << 20)

// ---- writing ------------------------------------------------------------------------------------

// A block being built at the end of `bytes`.
struct hudi_block_writer {
    struct mor_buffer *bytes; // borrowed
    size_t start;
    size_t content_length_at, content_at;
};
void hudi_block_begin(struct hudi_block_writer *writer, struct mor_buffer *bytes,
                      enum hudi_block_type type, const char *instant, const char *schema_json);
// Patches the lengths.
void hudi_block_end(struct hudi_block_writer *writer);

// Content of a data block: begin, one mor_buffer_append of a datum between the record calls, end.
size_t hudi_records_begin(struct mor_buffer *bytes); // returns a mark for hudi_records_end
size_t hudi_record_begin(struct mor_buffer *bytes);  // returns a mark for hudi_record_end
void hudi_record_end(struct mor_buffer *bytes, size_t mark);
void hudi_records_end(struct mor_buffer *bytes, size_t mark, uint32_t record_count);

// Content of a delete block: keys of one partition, each with ordering "Integer 0", which removes
// what came before in commit order and is the one form that all readers take.
size_t hudi_deletes_begin(struct mor_buffer *bytes, size_t key_count);
void hudi_delete_add(struct mor_buffer *bytes, const void *key, size_t key_size_bytes,
                     const char *partition);
void hudi_deletes_end(struct mor_buffer *bytes, size_t mark);

// ---- reading ------------------------------------------------------------------------------------

// A block's place and header; texts live in the arena.
struct hudi_block {
    enum hudi_block_type type;
    const char *header[HUDI_HEADER_COUNT]; // NULL = absent
    int64_t content_offset;
    int64_t content_size_bytes;
};

// Finds the blocks of a log file without reading their contents. DATA with the offset when the
// bytes are no blocks: what a successful commit wrote is whole, so nothing is skipped.
enum mor_status hudi_log_index(const struct mor_byte_source *source, const char *name,
                               struct mor_arena *arena, struct hudi_block **ret_blocks,
                               size_t *ret_count, struct mor_error *err) MOR_CHECKED;

// One entry of a delete block.
enum hudi_ordering_kind {
    HUDI_ORDERING_NONE,   // null, or Integer 0
    HUDI_ORDERING_NUMBER, // int, long, date, time, timestamp
    HUDI_ORDERING_REAL,   // float, double
    HUDI_ORDERING_BYTES,  // string, bytes
    HUDI_ORDERING_OTHER,  // kinds that no ordering column of ours has
};
struct hudi_delete {
    const uint8_t *key; // in the content
    size_t key_size_bytes;
    enum hudi_ordering_kind ordering;
    int64_t number;
    double real;
    const uint8_t *bytes;
    size_t bytes_size_bytes;
};
// Calls visit for each delete of a delete block's content.
enum mor_status hudi_deletes_read(const uint8_t *content, size_t size_bytes,
                                  enum mor_status (*visit)(void *context,
                                                           const struct hudi_delete *entry,
                                                           struct mor_error *err),
                                  void *context, struct mor_error *err) MOR_CHECKED;

#endif
