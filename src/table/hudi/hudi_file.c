#include "hudi/hudi_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moraine/base/hash.h"

static bool parse_base(const char *name, size_t length, struct mor_arena *arena,
                       struct hudi_file *file)
{
    const char *first = memchr(name, '_', length);
    const char *second = first ? memchr(first + 1, '_', length - (size_t)(first + 1 - name)) : NULL;
    if (!second)
        return false;
    const char *instant = second + 1;
    size_t instant_length = length - (size_t)(instant - name);
    if (!hudi_time_is_valid(instant, instant_length))
        return false;
    file->file_id = mor_arena_strndup(arena, name, (size_t)(first - name));
    file->token = mor_arena_strndup(arena, first + 1, (size_t)(second - first - 1));
    memcpy(file->instant, instant, instant_length);
    return true;
}

static bool parse_log(const char *name, struct mor_arena *arena, struct hudi_file *file)
{
    const char *log = strstr(name, ".log.");
    if (!log)
        return false;
    const char *underscore = memrchr(name, '_', (size_t)(log - name));
    if (!underscore)
        return false;
    size_t instant_length = (size_t)(log - underscore - 1);
    if (!hudi_time_is_valid(underscore + 1, instant_length))
        return false;
    char *end = NULL;
    long version = strtol(log + 5, &end, 10);
    // ".cdc" files and the like lie beside the logs but are none
    if (end == log + 5 || version < 0 || version > INT32_MAX || (*end != '\0' && *end != '_') ||
        strchr(end, '.'))
        return false;
    file->is_log = true;
    file->version = (int32_t)version;
    file->file_id = mor_arena_strndup(arena, name, (size_t)(underscore - name));
    file->token = mor_arena_strdup(arena, *end ? end + 1 : "");
    memcpy(file->instant, underscore + 1, instant_length);
    return true;
}

bool hudi_file_parse(const char *name, struct mor_arena *arena, struct hudi_file *ret_file)
{
    struct hudi_file file = {0};
    size_t length = strlen(name), suffix = strlen(".parquet");
    bool good = name[0] == '.'
                    ? parse_log(name + 1, arena, &file)
                    : length > suffix && strcmp(name + length - suffix, ".parquet") == 0 &&
                          parse_base(name, length - suffix, arena, &file);
    if (good)
        *ret_file = file;
    return good;
}

static void token_of(int32_t bucket, const char *instant, char ret_token[40])
{
    snprintf(ret_token, 40, "%d-%.8s-%.9s", bucket < 0 ? 0 : bucket, instant, instant + 8);
}

char *hudi_base_name(const char *file_id, int32_t bucket, const char *instant)
{
    char token[40];
    token_of(bucket, instant, token);
    return mor_asprintf("%s_%s_%s.parquet", file_id, token, instant);
}

char *hudi_log_name(const char *file_id, const char *name_instant, int32_t version, int32_t bucket,
                    const char *commit_instant)
{
    char token[40];
    token_of(bucket, commit_instant, token);
    return mor_asprintf(".%s_%s.log.%d_%s", file_id, name_instant, version, token);
}

void hudi_file_commit(const struct hudi_file *file, char ret_instant[HUDI_TIME_SIZE])
{
    ret_instant[0] = '\0';
    const char *dash = strchr(file->token, '-');
    if (!dash || strlen(dash + 1) != 18 || dash[9] != '-')
        return;
    char instant[HUDI_TIME_SIZE] = {0};
    memcpy(instant, dash + 1, 8);
    memcpy(instant + 8, dash + 10, 9);
    if (hudi_time_is_valid(instant, 17))
        memcpy(ret_instant, instant, sizeof instant);
}

bool hudi_file_belongs(const struct hudi_file *file, int table_version, const char *instant)
{
    char commit[HUDI_TIME_SIZE];
    if (!file->is_log || table_version >= 8)
        return strcmp(file->instant, instant) == 0;
    hudi_file_commit(file, commit);
    return *commit && strcmp(commit, instant) == 0;
}

void hudi_bucket_file_id(int32_t bucket, const char *partition, char ret_file_id[48])
{
    // Java's incremental queries know the files of a commit by their file id alone: one id in two
    // partitions would hide rows from them
    struct mor_hash128 hash = {0};
    if (*partition)
        hash = mor_hash128(partition, strlen(partition));
    snprintf(ret_file_id, 48, "%08d-%04x-%04x-%04x-%012llx-0", bucket,
             (unsigned)(hash.high & 0xFFFF), (unsigned)(hash.high >> 16 & 0xFFFF),
             (unsigned)(hash.high >> 32 & 0xFFFF), (unsigned long long)(hash.low & 0xFFFFFFFFFFFF));
}

int32_t hudi_file_id_bucket(const char *file_id)
{
    int32_t bucket = 0;
    for (int i = 0; i < HUDI_BUCKET_DIGITS; i++) {
        if (file_id[i] < '0' || file_id[i] > '9')
            return -1;
        bucket = bucket * 10 + (file_id[i] - '0');
    }
    return file_id[HUDI_BUCKET_DIGITS] == '-' ? bucket : -1;
}
