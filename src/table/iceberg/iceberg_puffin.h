// Deletion vectors (blob type deletion-vector-v1) and the Puffin files that hold them.
//
// Puffin: "PFA1" | blobs | footer, which is "PFA1" | JSON | size of the JSON i32 LE | flags 4 bytes
// (bit 0 of the first: the JSON is an LZ4 frame) | "PFA1".
// Blob: length of magic and vector u32 BE | magic D1 D3 39 64 | vector (base/position_set.h) |
// CRC-32 of magic and vector u32 BE.
#ifndef MORAINE_TABLE_ICEBERG_PUFFIN_H
#define MORAINE_TABLE_ICEBERG_PUFFIN_H

#include "moraine/base/position_set.h"
#include "moraine/storage.h"

#define ICEBERG_PUFFIN_BYTES_MAX (1u << 30) // of a file or a footer that is read
#define ICEBERG_VECTOR_BYTES_MAX (256u << 20)
#define ICEBERG_DELETION_VECTOR  "deletion-vector-v1"

// ---- one vector ---------------------------------------------------------------------------------

// Appends the blob.
void iceberg_vector_write(const struct mor_position_set *positions, struct mor_buffer *ret_bytes);
// Reads a blob of exactly `size_bytes`. DATA: damaged, or something else. A blob without the length
// and the checksum around it, as some writers had it, is read as well.
enum mor_status iceberg_vector_read(const uint8_t *bytes, size_t size_bytes,
                                    struct mor_budget *budget,
                                    struct mor_position_set **ret_positions,
                                    struct mor_error *err) MOR_CHECKED;

// ---- a file -------------------------------------------------------------------------------------

// Where a vector lies, as a manifest entry states it.
struct iceberg_blob {
    int64_t offset, size_bytes; // content_offset, content_size_in_bytes
    int64_t row_count;          // cardinality; record_count of the entry
};

// A Puffin file being built, in memory. Zero-initialised is not valid; one thread.
struct iceberg_puffin {
    struct mor_buffer bytes;
    struct mor_buffer blobs; // of the footer, JSON
};
void iceberg_puffin_init(struct iceberg_puffin *puffin, struct mor_budget *budget);
void iceberg_puffin_done(struct iceberg_puffin *puffin);
// Adds the vector of the data file with this URI, as the manifests spell it.
void iceberg_puffin_add(struct iceberg_puffin *puffin, const char *data_file_uri,
                        const struct mor_position_set *positions, struct iceberg_blob *ret_blob);
// Ends the file: puffin->bytes is all of it.
void iceberg_puffin_finish(struct iceberg_puffin *puffin);

// Reads the vector of a manifest entry. DATA when it is damaged or does not have row_count rows
// (-1 = any number).
enum mor_status iceberg_puffin_read_vector(struct mor_store *store, const char *key,
                                           const struct iceberg_blob *blob,
                                           struct mor_budget *budget,
                                           struct mor_position_set **ret_positions,
                                           struct mor_error *err) MOR_CHECKED;

// A blob as the footer states it.
struct iceberg_puffin_blob {
    const char *type;
    int64_t snapshot_id, sequence_number;
    int64_t offset, size_bytes;
    int64_t cardinality;           // of its properties; -1 = not stated
    const char *data_file_uri;     // "referenced-data-file"; NULL = not stated
    const char *compression_codec; // NULL = none
};
// The footer of a file of `size_bytes` bytes, for checks. Lives in the arena. DATA when it is no
// Puffin, or blobs lie outside of it. A compressed footer is DATA with words.
enum mor_status iceberg_puffin_footer(const uint8_t *bytes, size_t size_bytes,
                                      struct mor_arena *arena,
                                      struct iceberg_puffin_blob **ret_blobs, size_t *ret_count,
                                      struct mor_error *err) MOR_CHECKED;

#endif
