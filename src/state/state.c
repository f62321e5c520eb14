#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"
#include "state_internal.h"

#define ASIDE_PREFIX "data.bad-"
#define ASIDE_KEPT   2

// ---- folder -------------------------------------------------------------------------------------

static enum mor_status make_folder(const char *path, struct mor_error *err)
{
    MOR_AUTO_FREE char *copy = mor_strdup(path);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, 0750) != 0 && errno != EEXIST)
            return mor_error_set_errno(err, errno, "could not make the folder '%s'", copy);
        *at = kept;
        if (kept == '\0')
            return MOR_OK;
    }
}

// LMDB's map and our lock need a file system of this machine.
static enum mor_status refuse_network(const char *path, struct mor_error *err)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } networks[] = {{0x6969, "NFS"},        {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
                    {0x517B, "SMB"},        {0x01021997, "9p"},   {0x00C36400, "Ceph"},
                    {0x5346414F, "AFS"},    {0x6B414653, "kAFS"}, {0x73757245, "Coda"},
                    {0x0BD00BD0, "Lustre"}, {0x01161970, "GFS2"}, {0x7461636F, "OCFS2"},
                    {0x47504653, "GPFS"}};
    struct statfs facts;
    if (statfs(path, &facts) != 0)
        return mor_error_set_errno(err, errno, "could not ask for the file system of '%s'", path);
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        if (((unsigned long)facts.f_type & 0xFFFFFFFFu) == networks[i].magic)
            return mor_error_set(err, MOR_FATAL,
                                 "'%s' is on a network file system (%s): local state needs a local "
                                 "disk",
                                 path, networks[i].name);
    return MOR_OK;
}

static enum mor_status lock_folder(struct mor_state *state, struct mor_error *err)
{
    MOR_AUTO_FREE char *path = mor_asprintf("%s/LOCK", state->folder);
    state->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (state->lock_fd < 0)
        return mor_error_set_errno(err, errno, "could not open '%s'", path);
    if (flock(state->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return MOR_OK;
    if (errno == EWOULDBLOCK)
        return mor_error_set(err, MOR_RETRY, "'%s' is in use by another process", state->folder);
    return mor_error_set_errno(err, errno, "could not lock '%s'", path);
}

static enum mor_status sync_folder(const char *path, struct mor_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mor_error_set_errno(err, errno, "could not open '%s'", path);
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code == 0 ? MOR_OK : mor_error_set_errno(err, code, "could not sync '%s'", path);
}

static void remove_aside(const char *folder, const char *name)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        MOR_AUTO_FREE char *file = mor_asprintf("%s/%s/%s", folder, name, files[i]);
        (void)unlink(file);
    }
    MOR_AUTO_FREE char *path = mor_asprintf("%s/%s", folder, name);
    (void)rmdir(path); // what is left over only costs space
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)b, *(char *const *)a);
}

// Keeps the newest of what was set aside. Names end in a time of fixed width.
static void thin_out(const char *folder)
{
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return;
    char **names = NULL;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strncmp(entry->d_name, ASIDE_PREFIX, strlen(ASIDE_PREFIX)) != 0)
            continue;
        names = mor_realloc(names, (count + 1) * sizeof *names);
        names[count++] = mor_strdup(entry->d_name);
    }
    closedir(stream);
    if (count > 0)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i >= ASIDE_KEPT)
            remove_aside(folder, names[i]);
        free(names[i]);
    }
    free(names);
}

static enum mor_status set_aside(struct mor_state *state, struct mor_error *err)
{
    MOR_AUTO_FREE char *to = NULL;
    for (int64_t ms = mor_clock_wall_ms();; ms++) {
        free(to);
        to = mor_asprintf("%s/" ASIDE_PREFIX "%013lld", state->folder, (long long)ms);
        if (access(to, F_OK) != 0)
            break;
    }
    if (rename(state->data_folder, to) != 0)
        return mor_error_set_errno(err, errno, "could not rename '%s'", state->data_folder);
    thin_out(state->folder);
    return sync_folder(state->folder, err);
}

// ---- open ---------------------------------------------------------------------------------------

static void close_data(struct mor_state *state)
{
    mor_state_disk_close(state);
    mor_state_env_close(&state->env);
    mor_key_space_clear(&state->ids);
    mor_key_space_clear(&state->keys);
    mor_state_set_horizon(state, INT64_MIN);
    mor_state_loading_free(state);
}

static enum mor_status open_data(struct mor_state *state, struct mor_error *err)
{
    MOR_TRY(make_folder(state->data_folder, err));
    MOR_TRY(mor_state_env_open(&state->env, state->data_folder, state->map_size_bytes_first, err));
    MOR_TRY(mor_state_disk_open(state, err));
    if (state->has_mark)
        mor_state_set_horizon(state, state->mark.watermark_ms);
    MOR_TRY(mor_state_load_runs(state, err));
    MOR_TRY(sync_folder(state->data_folder, err));
    return sync_folder(state->folder, err);
}

static enum mor_status open_or_set_aside(struct mor_state *state,
                                         struct mor_state_outcome *ret_outcome,
                                         struct mor_error *err)
{
    *ret_outcome = (struct mor_state_outcome){.condition = MOR_STATE_USABLE};
    enum mor_status status = open_data(state, err);
    if (status == MOR_DATA) {
        close_data(state);
        ret_outcome->condition = MOR_STATE_SET_ASIDE;
        (void)snprintf(ret_outcome->reason, sizeof ret_outcome->reason, "%.500s", err->message);
        *err = MOR_ERROR_INIT;
        MOR_TRY(set_aside(state, err));
        return open_data(state, err);
    }
    MOR_TRY(status);
    if (state->has_mark)
        return MOR_OK;
    ret_outcome->condition = MOR_STATE_FRESH;
    if (state->sums.run_count == 0)
        return MOR_OK;
    // a load that did not get to its end: where its rows came from is not known any more
    close_data(state);
    MOR_TRY(set_aside(state, err));
    return open_data(state, err);
}

static struct mor_state *new_state(const struct mor_state_options *options)
{
    struct mor_state *state = mor_calloc(1, sizeof *state);
    state->folder = mor_strdup(options->folder);
    state->data_folder = mor_asprintf("%s/data", options->folder);
    state->table = mor_strdup(options->table);
    state->dedup_by = mor_strdup(options->dedup_by != NULL ? options->dedup_by : "");
    if (*state->dedup_by != '\0') {
        state->window_ms = options->dedup_window_ms;
        int64_t bucket_ms = options->dedup_window_ms / BUCKETS;
        state->bucket_ms = bucket_ms < BUCKET_MS_MIN ? BUCKET_MS_MIN : bucket_ms;
    }
    state->has_index = options->index;
    state->grave_ms = options->grave_ms;
    state->salt_wanted = options->salt;
    state->share_bytes = options->share_bytes;
    state->map_size_bytes_first = options->map_size_bytes_first;
    state->budget = options->budget;
    state->lock_fd = -1;
    mor_key_space_init(&state->ids, true, options->budget);
    mor_key_space_init(&state->keys, false, options->budget);
    mor_buffer_init(&state->mark_bytes, options->budget);
    pthread_mutex_init(&state->mutex, NULL);
    pthread_mutex_init(&state->merge_mutex, NULL);
    pthread_mutex_init(&state->reset_mutex, NULL);
    pthread_cond_init(&state->merger_wake, NULL);
    return state;
}

enum mor_status mor_state_open(const struct mor_state_options *options,
                               struct mor_state **ret_state, struct mor_state_outcome *ret_outcome,
                               struct mor_error *err)
{
    bool dedup = options->dedup_by != NULL && *options->dedup_by != '\0';
    if (*options->folder == '\0' || strlen(options->table) > TEXT_BYTES_MAX ||
        (dedup && (strlen(options->dedup_by) > TEXT_BYTES_MAX || options->dedup_window_ms <= 0)))
        return mor_error_set(
            err, MOR_FATAL,
            "the state needs a folder, a table name and dedup fields of at most %d "
            "bytes, and a dedup window above 0",
            TEXT_BYTES_MAX);
    struct mor_state *state = new_state(options);
    struct mor_state_outcome outcome = {.condition = MOR_STATE_FRESH};
    enum mor_status status = make_folder(state->folder, err);
    if (status == MOR_OK)
        status = refuse_network(state->folder, err);
    if (status == MOR_OK)
        status = lock_folder(state, err);
    if (status == MOR_OK)
        status = open_or_set_aside(state, &outcome, err);
    if (status == MOR_OK && !options->merge_by_hand)
        status = mor_state_merger_start(state, err);
    if (status != MOR_OK) {
        mor_state_free(state);
        // an emptied state that is still damaged is no cache any more but a broken disk
        if (status == MOR_DATA)
            err->status = status = MOR_FATAL;
        return status;
    }
    *ret_state = state;
    *ret_outcome = outcome;
    return MOR_OK;
}

void mor_state_free(struct mor_state *state)
{
    if (state == NULL)
        return;
    mor_state_merger_stop(state);
    close_data(state);
    if (state->lock_fd >= 0)
        close(state->lock_fd);
    mor_key_space_done(&state->ids);
    mor_key_space_done(&state->keys);
    mor_buffer_done(&state->mark_bytes);
    pthread_mutex_destroy(&state->mutex);
    pthread_mutex_destroy(&state->merge_mutex);
    pthread_mutex_destroy(&state->reset_mutex);
    pthread_cond_destroy(&state->merger_wake);
    free(state->demotions);
    free(state->folder);
    free(state->data_folder);
    free(state->table);
    free(state->dedup_by);
    free(state);
}

static enum mor_status replace_data(struct mor_state *state, struct mor_error *err)
{
    MOR_LOCKED(&state->reset_mutex);
    close_data(state);
    MOR_TRY(set_aside(state, err));
    return open_data(state, err);
}

enum mor_status mor_state_reset(struct mor_state *state, struct mor_error *err)
{
    bool merger_ran = state->merger_runs;
    mor_state_merger_stop(state);
    enum mor_status status = replace_data(state, err);
    if (status == MOR_OK && merger_ran)
        status = mor_state_merger_start(state, err);
    return status;
}

// ---- mark, names --------------------------------------------------------------------------------

const struct mor_state_mark *mor_state_mark_of(const struct mor_state *state)
{
    return state->has_mark ? &state->mark : NULL;
}

uint64_t mor_state_salt(const struct mor_state *state)
{
    return state->salt;
}

uint32_t mor_state_name_number(struct mor_state *state, const char *text)
{
    MOR_LOCKED(&state->mutex);
    struct mor_map_entry *entry = mor_map_put_text(&state->names, text, NULL);
    return (uint32_t)(entry - state->names.entries);
}

const char *mor_state_name_text(struct mor_state *state, uint32_t number)
{
    MOR_LOCKED(&state->mutex);
    return number < state->names.count ? state->names.entries[number].key : NULL;
}

// ---- status -------------------------------------------------------------------------------------

void mor_state_status(struct mor_state *state, struct mor_state_status *ret_status)
{
    struct mor_state_status status = {0};
    *ret_status = status;
    MOR_LOCKED(&state->reset_mutex);
    if (state->env.folder == NULL) // a reset that failed left nothing
        return;
    status.memory_bytes = atomic_load(&state->ids.bytes) + atomic_load(&state->keys.bytes);
    uint64_t horizon = atomic_load(&state->ids.horizon);
    pthread_rwlock_rdlock(&state->env.readers);
    status.sorted_run_count = state->runs.count;
    uint32_t bucket = 0;
    for (size_t i = 0; i < state->runs.count; i++) {
        const struct sorted_run *run = &state->runs.runs[i];
        if (run->kind == RUN_OF_KEYS) {
            status.index_entries += run->entry_count;
        } else if (run->bucket >= horizon) {
            status.dedup_entries += run->entry_count;
            status.bucket_count += status.bucket_count == 0 || run->bucket != bucket;
            bucket = run->bucket;
        }
    }
    status.file_bytes = mor_state_env_file_bytes(&state->env);
    pthread_rwlock_unlock(&state->env.readers);
    pthread_mutex_lock(&state->ids.shards[0].mutex);
    status.dedup_is_filtered = state->ids.shards[0].filtered;
    pthread_mutex_unlock(&state->ids.shards[0].mutex);
    pthread_mutex_lock(&state->keys.shards[0].mutex);
    status.index_is_filtered = state->keys.shards[0].filtered;
    pthread_mutex_unlock(&state->keys.shards[0].mutex);
    pthread_mutex_lock(&state->mutex);
    status.name_count = state->names.count;
    memcpy(status.trouble, state->trouble, sizeof status.trouble);
    pthread_mutex_unlock(&state->mutex);
    *ret_status = status;
}
