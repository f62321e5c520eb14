// A commit in preparation, private to its files.
#ifndef MORAINE_TABLE_ICEBERG_WRITE_H
#define MORAINE_TABLE_ICEBERG_WRITE_H

#include "iceberg/iceberg_files.h"

struct iceberg_attached {
    char *kind, *key;
    int64_t size_bytes;
};

struct iceberg_write {
    struct mor_write write;
    struct mor_uuid batch_id;
    struct iceberg_state *state; // of the base
    int64_t snapshot_id;
    json_t *base; // properties
    char base_version[ICEBERG_VERSION_SIZE];
    bool went_back;
    bool keeps_files; // committed, or may be
    struct iceberg_attached *attached;
    size_t attached_count;

    struct iceberg_files files;
    pthread_mutex_t mutex;               // guards what follows
    const struct iceberg_live **removed; // of the state
    size_t removed_count, removed_capacity;
};

static inline struct iceberg_table *iceberg_write_table(const struct iceberg_write *write)
{
    return iceberg_of(write->write.table);
}

#endif
