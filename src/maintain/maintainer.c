// The thread that looks after one table: opens it anew for each round (so that columns that were
// added meanwhile are known), merges or gathers what is due, and expires from time to time.
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "moraine/base/clock.h"
#include "moraine/base/thread.h"
#include "moraine/maintain.h"

#define INTERVAL_MS_DEFAULT 5000
#define EXPIRE_MS_DEFAULT   60000
#define BACK_OFF_MS_MAX     300000

// One writer of this name per table: two maintainers would merge the same file groups.
#define INSTANCE "maintain"

const int64_t mor_maintain_bounds_ms[MOR_MAINTAIN_BOUNDS] = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000};

struct mor_maintainer {
    char *location;
    char **columns; // of clustering, owned
    struct mor_maintainer_options options;
    pthread_t thread;
    atomic_bool stopping;
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    bool poked, everything;
    struct mor_maintainer_status status;

    // the thread's own
    int64_t expire_at_ms, failures;
};

// ---- callbacks of the work ----------------------------------------------------------------------

static bool should_stop(void *context)
{
    const struct mor_maintainer *maintainer = context;
    return atomic_load_explicit(&maintainer->stopping, memory_order_relaxed);
}

static bool should_yield(void *context)
{
    const struct mor_maintainer *maintainer = context;
    const struct mor_compact_options *compact = &maintainer->options.compact;
    return compact->should_yield && compact->should_yield(compact->context);
}

static void tell(struct mor_maintainer *maintainer, bool is_error, const char *event,
                 const char *text)
{
    if (maintainer->options.log)
        maintainer->options.log(maintainer->options.compact.context, is_error, event, text);
}

// ---- rounds -------------------------------------------------------------------------------------

static void note_round(struct mor_maintainer *maintainer, const struct mor_compact_report *report,
                       int64_t duration_ms)
{
    char text[256];
    {
        MOR_LOCKED(&maintainer->mutex);
        struct mor_maintainer_status *status = &maintainer->status;
        status->file_groups = report->file_groups;
        status->delta_files = report->delta_files;
        status->pending = report->due - report->done;
        status->compactions += report->commits;
        status->file_groups_done += report->done;
        status->bytes_read += report->bytes_read;
        status->bytes_written += report->bytes_written;
        status->rows_written += report->rows_written;
        status->looked = true;
        size_t bound = 0;
        while (bound < MOR_MAINTAIN_BOUNDS && duration_ms > mor_maintain_bounds_ms[bound])
            bound++;
        status->duration_counts[bound] += report->commits > 0;
        status->total_duration_ms += report->commits > 0 ? duration_ms : 0;
    }
    if (report->commits == 0)
        return;
    snprintf(text, sizeof text,
             "%lld file groups in %lld commits, %lld rows, %lld bytes read, %lld written, %lld ms",
             (long long)report->done, (long long)report->commits, (long long)report->rows_written,
             (long long)report->bytes_read, (long long)report->bytes_written,
             (long long)duration_ms);
    tell(maintainer, false, "compacted", text);
}

static enum mor_status compact(struct mor_maintainer *maintainer, struct mor_table *table,
                               bool everything, struct mor_error *err)
{
    struct mor_compact_options options = maintainer->options.compact;
    struct mor_compact_report report;
    int64_t started_ms = mor_clock_mono_ms();
    options.everything = everything;
    options.should_stop = should_stop;
    options.should_yield = should_yield;
    options.context = maintainer;
    enum mor_status status = mor_rewrite_due(table, &options, &report, err);
    note_round(maintainer, &report, mor_clock_mono_ms() - started_ms);
    if (status == MOR_OK && report.failed > 0) {
        *err = report.first_failure;
        return mor_error_class(err);
    }
    return status;
}

static enum mor_status expire(struct mor_maintainer *maintainer, struct mor_table *table,
                              struct mor_error *err)
{
    struct mor_arena arena;
    struct mor_expiry expiry;
    char text[256];
    mor_arena_init(&arena, 0, NULL);
    enum mor_status status =
        mor_table_expire(table, &maintainer->options.retention, false, &arena, &expiry, err);
    if (status == MOR_OK) {
        {
            MOR_LOCKED(&maintainer->mutex);
            maintainer->status.cleaned_files += (int64_t)expiry.file_count;
            maintainer->status.cleaned_bytes += expiry.bytes;
            maintainer->status.archived_versions += (int64_t)expiry.version_count;
        }
        if (expiry.file_count > 0) {
            snprintf(text, sizeof text, "%zu files, %lld bytes; the oldest kept version is %s",
                     expiry.file_count, (long long)expiry.bytes, expiry.oldest_version);
            tell(maintainer, false, "cleaned", text);
        }
    }
    mor_arena_done(&arena);
    return status;
}

static enum mor_status run_round(struct mor_maintainer *maintainer, bool everything,
                                 struct mor_error *err)
{
    const struct mor_maintainer_options *options = &maintainer->options;
    struct mor_table *table = NULL;
    enum mor_status status = mor_table_open_rewrite(maintainer->location, INSTANCE,
                                                    options->compact.budget, &table, err);
    // made by the first commit; or maintained by another process
    if (status == MOR_NOT_FOUND || status == MOR_RETRY)
        return MOR_OK;
    if (status == MOR_OK && options->compacts)
        status = compact(maintainer, table, everything, err);
    if (status == MOR_OK && mor_clock_mono_ms() >= maintainer->expire_at_ms) {
        maintainer->expire_at_ms = mor_clock_mono_ms() + options->expire_interval_ms;
        status = expire(maintainer, table, err);
    }
    mor_table_free(table);
    return status;
}

static void note_failure(struct mor_maintainer *maintainer, const struct mor_error *err)
{
    bool fresh;
    {
        MOR_LOCKED(&maintainer->mutex);
        struct mor_maintainer_status *status = &maintainer->status;
        fresh = err && strcmp(status->trouble, err->message) != 0;
        snprintf(status->trouble, sizeof status->trouble, "%s", err ? err->message : "");
    }
    maintainer->failures = err ? maintainer->failures + 1 : 0;
    if (fresh)
        tell(maintainer, true, "maintenance_failed", err->message);
}

// Waits for the next round; false: the end.
static bool wait_round(struct mor_maintainer *maintainer, bool *ret_everything)
{
    int64_t wait_ms = maintainer->options.interval_ms;
    for (int64_t i = 0; i < maintainer->failures && wait_ms < BACK_OFF_MS_MAX; i++)
        wait_ms *= 2;
    struct timespec until;
    int64_t at_ms = mor_clock_mono_ms() + wait_ms;
    until = (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    MOR_LOCKED(&maintainer->mutex);
    while (!maintainer->poked && !should_stop(maintainer) &&
           pthread_cond_timedwait(&maintainer->changed, &maintainer->mutex, &until) == 0)
        continue;
    *ret_everything = maintainer->everything;
    maintainer->poked = maintainer->everything = false;
    return !should_stop(maintainer);
}

static void *run(void *argument)
{
    struct mor_maintainer *maintainer = argument;
    bool everything = false;
    maintainer->expire_at_ms = mor_clock_mono_ms();
    while (wait_round(maintainer, &everything)) {
        struct mor_error err = MOR_ERROR_INIT;
        enum mor_status status = run_round(maintainer, everything, &err);
        if (!should_stop(maintainer))
            note_failure(maintainer, status == MOR_OK ? NULL : &err);
    }
    return NULL;
}

// ---- life ---------------------------------------------------------------------------------------

static void free_all(struct mor_maintainer *maintainer)
{
    for (size_t i = 0; i < maintainer->options.compact.cluster_column_count; i++)
        free(maintainer->columns[i]);
    free(maintainer->columns);
    free(maintainer->location);
    pthread_cond_destroy(&maintainer->changed);
    pthread_mutex_destroy(&maintainer->mutex);
    free(maintainer);
}

enum mor_status mor_maintainer_start(const struct mor_maintainer_options *options,
                                     struct mor_maintainer **ret_maintainer, struct mor_error *err)
{
    struct mor_maintainer *maintainer = mor_calloc(1, sizeof *maintainer);
    struct mor_compact_options *compact = &maintainer->options.compact;
    maintainer->options = *options;
    if (options->interval_ms <= 0)
        maintainer->options.interval_ms = INTERVAL_MS_DEFAULT;
    if (options->expire_interval_ms <= 0)
        maintainer->options.expire_interval_ms = EXPIRE_MS_DEFAULT;
    compact->in_background = true;
    compact->partition = NULL;
    maintainer->location = mor_strdup(options->location);
    maintainer->columns =
        mor_calloc(compact->cluster_column_count + 1, sizeof *maintainer->columns);
    for (size_t i = 0; i < compact->cluster_column_count; i++)
        maintainer->columns[i] = mor_strdup(compact->cluster_columns[i]);
    compact->cluster_columns = (const char *const *)maintainer->columns;
    pthread_mutex_init(&maintainer->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&maintainer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    enum mor_status status =
        mor_thread_start(&maintainer->thread, "maintain", run, maintainer, err);
    if (status != MOR_OK) {
        free_all(maintainer);
        return status;
    }
    *ret_maintainer = maintainer;
    return MOR_OK;
}

void mor_maintainer_poke(struct mor_maintainer *maintainer, bool everything)
{
    MOR_LOCKED(&maintainer->mutex);
    maintainer->poked = true;
    maintainer->everything |= everything;
    pthread_cond_broadcast(&maintainer->changed);
}

void mor_maintainer_status(struct mor_maintainer *maintainer,
                           struct mor_maintainer_status *ret_status)
{
    MOR_LOCKED(&maintainer->mutex);
    *ret_status = maintainer->status;
}

void mor_maintainer_stop(struct mor_maintainer *maintainer)
{
    MOR_LOCKED(&maintainer->mutex);
    atomic_store(&maintainer->stopping, true);
    pthread_cond_broadcast(&maintainer->changed);
}

void mor_maintainer_free(struct mor_maintainer *maintainer)
{
    if (!maintainer)
        return;
    mor_maintainer_stop(maintainer);
    pthread_join(maintainer->thread, NULL);
    free_all(maintainer);
}
