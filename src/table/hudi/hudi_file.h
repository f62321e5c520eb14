// Names of data files.
//
//   base  <fileId>_<token>_<instant>.parquet
//   log  .<fileId>_<instant>.log.<version>_<token>
//
// The token of files that this program writes is "<bucket>-<yyyyMMdd>-<HHmmssSSS>" of the commit
// that wrote them: three decimal numbers, as Java wants them, and a log file of table version 6,
// which is named by its slice, still tells whose it is when that commit fails.
#ifndef MORAINE_TABLE_HUDI_FILE_H
#define MORAINE_TABLE_HUDI_FILE_H

#include "hudi/hudi_timeline.h"

struct hudi_file {
    bool is_log;
    char *file_id; // in the arena
    char *token;   // in the arena, "" = none
    char instant[HUDI_TIME_SIZE];
    int32_t version; // logs
};

// False for names that are neither base file nor log.
bool hudi_file_parse(const char *name, struct mor_arena *arena, struct hudi_file *ret_file);

char *hudi_base_name(const char *file_id, int32_t bucket, const char *instant);
// name_instant: the slice's in table version 6, the commit's own in 9.
char *hudi_log_name(const char *file_id, const char *name_instant, int32_t version, int32_t bucket,
                    const char *commit_instant);
// The commit that a file of this program names by its token, "" when the file is another's.
void hudi_file_commit(const struct hudi_file *file, char ret_instant[HUDI_TIME_SIZE]);
// True when the file was written by the commit `instant`, as far as its name tells (see above).
bool hudi_file_belongs(const struct hudi_file *file, int table_version, const char *instant);

#define HUDI_BUCKET_DIGITS 8
// Of a new file group: the bucket, and a rest by which ids of other partitions differ, zeros when
// the table has none. Every instance makes the same.
void hudi_bucket_file_id(int32_t bucket, const char *partition, char ret_file_id[48]);
// Bucket of a file id of the bucket index; -1 when the id has no such form.
int32_t hudi_file_id_bucket(const char *file_id);

#endif
