// A commit in preparation, private to its files.
#ifndef MORAINE_TABLE_ICEBERG_WRITE_H
#define MORAINE_TABLE_ICEBERG_WRITE_H

#include "iceberg/iceberg_draft.h"
#include "iceberg/iceberg_puffin.h"
#include "iceberg/iceberg_table.h"

// A data or delete file that the write made.
struct iceberg_written {
    struct mor_arena arena; // of what `file` points to
    char *key;
    size_t group; // SIZE_MAX: of no group
    int32_t spec_id;
    size_t puffin; // index of the Puffin that holds it; SIZE_MAX = none
    struct iceberg_data_file file;
};

struct iceberg_written_puffin {
    struct iceberg_puffin puffin;
    char *key, *uri;
};

struct iceberg_attached {
    char *kind, *key;
    int64_t size_bytes;
};

struct iceberg_write {
    struct mor_write write;
    struct mor_uuid batch_id;
    char uuid[MOR_UUID_TEXT_SIZE]; // in the names of files
    struct iceberg_state *state;   // of the base
    int64_t snapshot_id;
    json_t *base; // properties
    char base_version[ICEBERG_VERSION_SIZE];
    bool went_back;
    bool keeps_files; // committed, or may be
    struct iceberg_attached *attached;
    size_t attached_count;

    pthread_mutex_t mutex; // guards what follows
    struct iceberg_written **files;
    size_t file_count, file_capacity;
    struct iceberg_written_puffin *puffins;
    size_t puffin_count;
    const struct iceberg_live **removed; // of the state
    size_t removed_count, removed_capacity;
    uint32_t file_number;
};

static inline struct iceberg_table *iceberg_write_table(const struct iceberg_write *write)
{
    return iceberg_of(write->write.table);
}

// Name of the next file: "data/<partition>/<uuid>-<number><ending>"; the caller frees.
char *iceberg_write_key(struct iceberg_write *write, const char *partition, const char *ending);
// A file of the write, whose arena is ready; takes the key.
struct iceberg_written *iceberg_written_new(char *take_key, size_t group, int32_t spec_id);
void iceberg_written_free(struct iceberg_written *written);
// Adds it to the write, which owns it from now on.
void iceberg_write_add(struct iceberg_write *write, struct iceberg_written *take_written);

#endif
