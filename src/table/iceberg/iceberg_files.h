// The data and delete files that a change of the table writes, before it is in the table.
#ifndef MORAINE_TABLE_ICEBERG_FILES_H
#define MORAINE_TABLE_ICEBERG_FILES_H

#include <pthread.h>

#include "iceberg/iceberg_draft.h"
#include "iceberg/iceberg_puffin.h"
#include "iceberg/iceberg_table.h"

struct iceberg_written {
    struct mor_arena arena; // of what `file` points to
    char *key;              // NULL: a vector in a Puffin
    size_t group;           // SIZE_MAX: of no group
    int32_t spec_id;
    size_t puffin; // index of the Puffin; SIZE_MAX = none
    struct iceberg_data_file file;
};

struct iceberg_written_puffin {
    struct iceberg_puffin puffin;
    char *key, *uri;
};

struct iceberg_files {
    struct iceberg_table *table;
    struct iceberg_metadata *metadata; // names are made with its location
    char uuid[MOR_UUID_TEXT_SIZE];     // in all names: no other attempt has it
    struct mor_sink_batch *sinks;      // of the files; any thread adds
    pthread_mutex_t mutex;             // guards what follows
    struct iceberg_written **list;
    size_t count, capacity;
    struct iceberg_written_puffin *puffins;
    size_t puffin_count;
    uint32_t number; // of the next name
};

void iceberg_files_init(struct iceberg_files *files, struct iceberg_table *table,
                        struct iceberg_metadata *metadata);
// Deletes the files unless they are, or may be, in the table.
void iceberg_files_done(struct iceberg_files *files, bool keep);
// A file of the given partition, whose name is new: "data/<partition>/<uuid>-<number><ending>".
struct iceberg_written *iceberg_files_new(struct iceberg_files *files, const char *partition,
                                          const char *ending, int32_t spec_id);
void iceberg_written_free(struct iceberg_written *written); // does not delete it
// URI of a key, in the written's arena.
const char *iceberg_files_uri(const struct iceberg_files *files, struct iceberg_written *written,
                              const char *key);
// Takes a file that is written in whole. Any thread.
void iceberg_files_add(struct iceberg_files *files, struct iceberg_written *take_written);
// Says that rows of the data file `target` are removed: a position-delete file in version 2, a
// deletion vector in version 3. `positions` is not empty. Any thread.
enum mor_status iceberg_files_add_deletes(struct iceberg_files *files,
                                          const struct iceberg_spec *spec,
                                          const struct iceberg_data_file *target,
                                          const struct mor_position_set *positions,
                                          struct mor_error *err) MOR_CHECKED;
// Writes what is still in memory and gives every file its name; nothing is added any more. Again it
// only says whether that worked.
enum mor_status iceberg_files_finish(struct iceberg_files *files,
                                     struct mor_error *err) MOR_CHECKED;

#endif
