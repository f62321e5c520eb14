// File metadata of Parquet as plain structs, read from and written as Thrift.
//
// Sources: parquet.thrift of parquet-format 2.10; a struct here holds the fields moraine uses,
// fields it does not know are skipped. -1 stands for "absent" in numbers that cannot be negative.
#ifndef MOR_PQ_META_H
#define MOR_PQ_META_H

#include "moraine/base/memory.h"
#include "moraine/base/status.h"
#include "pq_thrift.h"

// Stated limits of what a file may make the reader allocate.
#define MOR_PQ_FOOTER_BYTES_MAX   ((size_t)256 << 20) // serialised footer
#define MOR_PQ_METADATA_BYTES_MAX ((size_t)512 << 20) // structs made from it
#define MOR_PQ_PAGE_BYTES_MAX                                                                      \
    ((size_t)0x7fffffff)                         // one page as read; the format has no larger ones
#define MOR_PQ_HELD_BYTES_MAX  ((size_t)4 << 30) // open pages and dictionaries of all columns
#define MOR_PQ_PAGE_WRITE_MAX  ((size_t)512 << 20) // one page as written
#define MOR_PQ_PAGE_HEADER_MAX ((size_t)16 << 20)  // serialised page header
#define MOR_PQ_INDEX_BYTES_MAX ((size_t)64 << 20)  // column, offset index, bloom filter
#define MOR_PQ_VALUES_MAX      ((size_t)1 << 27)   // values of one leaf within one batch

enum mor_pq_type {
    MOR_PQ_BOOLEAN,
    MOR_PQ_INT32,
    MOR_PQ_INT64,
    MOR_PQ_INT96,
    MOR_PQ_FLOAT,
    MOR_PQ_DOUBLE,
    MOR_PQ_BYTE_ARRAY,
    MOR_PQ_FLBA,
};

enum mor_pq_repetition { MOR_PQ_REQUIRED, MOR_PQ_OPTIONAL, MOR_PQ_REPEATED };

enum mor_pq_encoding {
    MOR_PQ_PLAIN = 0,
    MOR_PQ_PLAIN_DICTIONARY = 2,
    MOR_PQ_RLE = 3,
    MOR_PQ_BIT_PACKED = 4,
    MOR_PQ_DELTA_BINARY_PACKED = 5,
    MOR_PQ_DELTA_LENGTH_BYTE_ARRAY = 6,
    MOR_PQ_DELTA_BYTE_ARRAY = 7,
    MOR_PQ_RLE_DICTIONARY = 8,
    MOR_PQ_BYTE_STREAM_SPLIT = 9,
    MOR_PQ_ENCODING_COUNT = 11,
};

enum mor_pq_codec {
    MOR_PQ_CODEC_NONE = 0,
    MOR_PQ_CODEC_SNAPPY = 1,
    MOR_PQ_CODEC_GZIP = 2,
    MOR_PQ_CODEC_LZO = 3,
    MOR_PQ_CODEC_BROTLI = 4,
    MOR_PQ_CODEC_LZ4 = 5,
    MOR_PQ_CODEC_ZSTD = 6,
    MOR_PQ_CODEC_LZ4_RAW = 7,
};

enum mor_pq_page_type {
    MOR_PQ_DATA_PAGE,
    MOR_PQ_INDEX_PAGE,
    MOR_PQ_DICTIONARY_PAGE,
    MOR_PQ_DATA_PAGE_V2
};

enum mor_pq_converted {
    MOR_PQ_C_NONE = -1,
    MOR_PQ_C_UTF8 = 0,
    MOR_PQ_C_MAP = 1,
    MOR_PQ_C_MAP_KEY_VALUE = 2,
    MOR_PQ_C_LIST = 3,
    MOR_PQ_C_ENUM = 4,
    MOR_PQ_C_DECIMAL = 5,
    MOR_PQ_C_DATE = 6,
    MOR_PQ_C_TIME_MILLIS = 7,
    MOR_PQ_C_TIME_MICROS = 8,
    MOR_PQ_C_TIMESTAMP_MILLIS = 9,
    MOR_PQ_C_TIMESTAMP_MICROS = 10,
    MOR_PQ_C_UINT_8 = 11,
    MOR_PQ_C_UINT_16 = 12,
    MOR_PQ_C_UINT_32 = 13,
    MOR_PQ_C_UINT_64 = 14,
    MOR_PQ_C_INT_8 = 15,
    MOR_PQ_C_INT_16 = 16,
    MOR_PQ_C_INT_32 = 17,
    MOR_PQ_C_INT_64 = 18,
    MOR_PQ_C_JSON = 19,
    MOR_PQ_C_BSON = 20,
    MOR_PQ_C_INTERVAL = 21,
};

// Field numbers of the union LogicalType.
enum mor_pq_logical {
    MOR_PQ_L_NONE = 0,
    MOR_PQ_L_STRING = 1,
    MOR_PQ_L_MAP = 2,
    MOR_PQ_L_LIST = 3,
    MOR_PQ_L_ENUM = 4,
    MOR_PQ_L_DECIMAL = 5,
    MOR_PQ_L_DATE = 6,
    MOR_PQ_L_TIME = 7,
    MOR_PQ_L_TIMESTAMP = 8,
    MOR_PQ_L_INTEGER = 10,
    MOR_PQ_L_NULL = 11,
    MOR_PQ_L_JSON = 12,
    MOR_PQ_L_BSON = 13,
    MOR_PQ_L_UUID = 14,
    MOR_PQ_L_FLOAT16 = 15,
};

enum mor_pq_unit { MOR_PQ_MILLIS = 1, MOR_PQ_MICROS = 2, MOR_PQ_NANOS = 3 };

struct mor_pq_element {
    struct mor_pq_bytes name;
    int32_t type; // mor_pq_type, -1 = group
    int32_t type_length;
    int32_t repetition; // -1 absent (root)
    int32_t num_children;
    int32_t converted; // mor_pq_converted
    int32_t scale, precision;
    int32_t field_id; // -1 absent
    int32_t logical;  // mor_pq_logical
    int32_t unit;     // TIME, TIMESTAMP
    bool utc;         // TIME, TIMESTAMP
    int32_t bit_width;
    bool is_signed;
};

struct mor_pq_statistics {
    struct mor_pq_bytes min_value, max_value;
    struct mor_pq_bytes min, max; // deprecated: signed byte order
    int64_t null_count;           // -1 absent
    int64_t distinct_count;       // -1 absent
    int8_t min_exact, max_exact;  // -1 absent
};
#define MOR_PQ_STATISTICS_NONE                                                                     \
    ((struct mor_pq_statistics){                                                                   \
        .null_count = -1, .distinct_count = -1, .min_exact = -1, .max_exact = -1})

struct mor_pq_key_value {
    struct mor_pq_bytes key, value;
};

struct mor_pq_size_statistics {
    int64_t unencoded_bytes; // -1 absent
    size_t rep_count, def_count;
    int64_t *rep_histogram, *def_histogram; // NULL absent
};

struct mor_pq_encoding_stats {
    int32_t page_type, encoding, count;
};

struct mor_pq_chunk {
    struct mor_pq_bytes file_path;
    int64_t file_offset;
    bool has_meta;
    bool encrypted;
    // ColumnMetaData
    int32_t type;
    uint32_t encodings; // bit per encoding
    int32_t codec;
    size_t path_count;
    struct mor_pq_bytes *path;
    int64_t num_values, total_uncompressed_bytes, total_compressed_bytes;
    int64_t data_page_offset, dictionary_page_offset; // dictionary: -1 absent
    int64_t bloom_filter_offset;                      // -1 absent
    int32_t bloom_filter_length;                      // -1 absent
    struct mor_pq_statistics statistics;
    struct mor_pq_size_statistics sizes;
    size_t encoding_stats_count;
    struct mor_pq_encoding_stats *encoding_stats;
    size_t key_value_count;
    struct mor_pq_key_value *key_values;
    // indexes
    int64_t offset_index_offset, column_index_offset; // -1 absent
    int32_t offset_index_length, column_index_length;
};

struct mor_pq_sorting {
    int32_t column;
    bool descending, nulls_first;
};

struct mor_pq_row_group {
    size_t chunk_count;
    struct mor_pq_chunk *chunks;
    int64_t total_byte_size, num_rows, total_compressed_bytes;
    int64_t file_offset; // -1 absent
    size_t sorting_count;
    struct mor_pq_sorting *sorting;
};

struct mor_pq_file {
    int32_t version;
    size_t element_count;
    struct mor_pq_element *elements;
    int64_t num_rows;
    size_t row_group_count;
    struct mor_pq_row_group *row_groups;
    size_t key_value_count;
    struct mor_pq_key_value *key_values;
    struct mor_pq_bytes created_by;
    size_t column_order_count;
    uint8_t *column_orders; // 1 = type-defined order, 0 = another
    bool encrypted;
};

struct mor_pq_page_header {
    int32_t type; // mor_pq_page_type
    int32_t uncompressed_bytes, compressed_bytes;
    bool has_crc;
    uint32_t crc;
    int32_t num_values; // data and dictionary pages
    int32_t encoding;
    int32_t def_encoding, rep_encoding; // V1
    int32_t num_nulls, num_rows;        // V2
    int32_t def_bytes, rep_bytes;       // V2
    bool is_compressed;                 // V2
    bool has_head;                      // the header of its type was present
    struct mor_pq_statistics statistics;
};

struct mor_pq_page_location {
    int64_t offset;
    int32_t compressed_bytes; // header included
    int64_t first_row;
};

struct mor_pq_offset_index {
    size_t page_count;
    struct mor_pq_page_location *pages;
    int64_t *unencoded_bytes; // NULL absent
};

struct mor_pq_column_index {
    size_t page_count;
    bool *null_pages;
    struct mor_pq_bytes *min_values, *max_values;
    int32_t boundary_order;
    int64_t *null_counts;                     // NULL absent
    int64_t *rep_histograms, *def_histograms; // NULL absent; page_count * levels
    size_t rep_histogram_count, def_histogram_count;
};

// Parses a serialised footer. Results live in `arena` and point into `bytes`, which must live as
// long. DATA when malformed; err->file_offset is `base_offset` + place of the fault.
enum mor_status mor_pq_file_parse(const void *bytes, size_t size_bytes, int64_t base_offset,
                                  struct mor_arena *arena, struct mor_pq_file *ret_file,
                                  struct mor_error *err) MOR_CHECKED;
// Parses a page header at the front of `bytes`; *ret_size_bytes is its serialised size. `truncated`
// tells, on failure, whether more bytes could help.
enum mor_status mor_pq_page_header_parse(const void *bytes, size_t size_bytes,
                                         struct mor_pq_page_header *ret_header,
                                         size_t *ret_size_bytes, struct mor_error *err) MOR_CHECKED;
enum mor_status mor_pq_offset_index_parse(const void *bytes, size_t size_bytes,
                                          struct mor_arena *arena,
                                          struct mor_pq_offset_index *ret_index,
                                          struct mor_error *err) MOR_CHECKED;
enum mor_status mor_pq_column_index_parse(const void *bytes, size_t size_bytes,
                                          struct mor_arena *arena,
                                          struct mor_pq_column_index *ret_index,
                                          struct mor_error *err) MOR_CHECKED;
// Bloom filter header: size of the bit set and of the header itself.
enum mor_status mor_pq_bloom_header_parse(const void *bytes, size_t size_bytes,
                                          int32_t *ret_bitset_bytes, size_t *ret_size_bytes,
                                          struct mor_error *err) MOR_CHECKED;

void mor_pq_file_write(const struct mor_pq_file *file, struct mor_buffer *out);
void mor_pq_page_header_write(const struct mor_pq_page_header *header, struct mor_buffer *out);
void mor_pq_offset_index_write(const struct mor_pq_offset_index *index, struct mor_buffer *out);
void mor_pq_column_index_write(const struct mor_pq_column_index *index, struct mor_buffer *out);
void mor_pq_bloom_header_write(int32_t bitset_bytes, struct mor_buffer *out);

const char *mor_pq_type_name(int32_t type);
const char *mor_pq_encoding_name(int32_t encoding);
const char *mor_pq_codec_name(int32_t codec);

#endif
