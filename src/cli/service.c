#include "service.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/source.h"
#include "service_notify.h"

#define MMAP_THRESHOLD_BYTES (4 << 20)
#define TRIM_THRESHOLD_BYTES (8 << 20)
#define MALLOC_ARENAS        2
#define STOP_MARGIN_MS       30000 // beyond shutdown_timeout: leaving the groups, joining threads

struct mor_config *cli_load_config(const char *path)
{
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    enum mor_status status = mor_config_load(path, &config, &report);
    for (size_t i = 0; i < report.count; i++)
        (void)fprintf(stderr, "%s%s\n",
                      report.notes[i].is_error ? "" : "warning: ", report.notes[i].text);
    if (status != MOR_OK)
        (void)fprintf(stderr, "moraine: %zu error%s in the configuration '%s'\n",
                      report.error_count, report.error_count == 1 ? "" : "s", path);
    mor_config_report_done(&report);
    if (status != MOR_OK)
        return NULL;
    cli_use_catalogs(config);
    return config;
}

enum mor_status cli_open_registry(const struct mor_config *config,
                                  struct mor_registry **ret_registry, struct mor_error *err)
{
    *ret_registry = NULL;
    if (config->schema_registry.url == NULL)
        return MOR_OK;
    struct mor_registry_options options = {.url = config->schema_registry.url,
                                           .username = config->schema_registry.username,
                                           .password = config->schema_registry.password,
                                           .ca_location = config->schema_registry.ca_location,
                                           .timeout_ms = config->schema_registry.timeout_ms};
    return mor_registry_open(&options, ret_registry, err);
}

// Our large buffers are blocks of their own (base/block.h). What is left to malloc beside small
// pieces is librdkafka's, a mebibyte or two for each fetched batch: mapped one by one they would
// cost as many page faults as all the rest, so they stay in the heap. Few arenas, so that threads
// do not each keep a heap of their own.
static void tune_malloc(const struct mor_config *config)
{
    mor_memory_keep(cli_memory_kept(config));
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
}

static void log_start(const struct mor_config *config)
{
    MOR_LOG(INFO, "start", MOR_STR("version", MORAINE_VERSION),
            MOR_STR("instance", config->instance), MOR_INT("topics", config->topic_count),
            MOR_INT("memory", config->memory_bytes), MOR_INT("lanes", config->lanes),
            MOR_STR("kafka_client", mor_source_library_version()));
    const char *lines[32];
    size_t count = mor_source_missing_protections(lines, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < count; i++)
        MOR_LOG(WARN, "missing_protection", MOR_STR("msg", lines[i]));
}

// A core would hold the secrets of the configuration. Only the soft limit, so that somebody who
// hunts a crash can raise it (prlimit).
static void forbid_core(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        (void)setrlimit(RLIMIT_CORE, &limit);
    }
}

// A commit to many partitions has many files open at once, and the usual soft limit is one of the
// days of select().
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void cli_configure_log(const struct mor_config *config)
{
    size_t count;
    const char *const *secrets = mor_config_secrets(config, &count);
    for (size_t i = 0; i < count; i++)
        mor_log_hide(secrets[i]);
    mor_log_configure(config->log.level, config->log.format);
}

enum mor_status cli_service_start(struct cli_service *service, const char *config_path,
                                  struct mor_config *take_config, struct mor_error *err)
{
    *service = (struct cli_service){.config_path = config_path,
                                    .started_ms = mor_clock_wall_ms(),
                                    .watchdog_ms = cli_watchdog_ms()};
    pthread_mutex_init(&service->mutex, NULL);
    tune_malloc(take_config);
    forbid_core();
    raise_descriptors();
    cli_configure_log(take_config);
    mor_budget_init(&service->budget, cli_memory_for_records(take_config));
    log_start(take_config);
    enum mor_status status = cli_generation_new(take_config, &service->first, err);
    service->current = service->first;
    if (status == MOR_OK)
        status = cli_service_serve(service, err);
    if (status == MOR_OK) {
        struct cli_topic_changes changes;
        cli_topics_follow(service, service->first, false, &changes);
        cli_notify("READY=1\nSTATUS=%zu topics", changes.added);
    } else {
        (void)cli_service_stop(service);
    }
    return status;
}

// The supervisor hears of us only while the loop turns and the topics can be asked how they are.
static void feed_watchdog(struct cli_service *service, int64_t now_ms)
{
    if (service->watchdog_ms == 0 || now_ms - service->fed_ms < service->watchdog_ms / 4)
        return;
    service->fed_ms = now_ms;
    if (service->serve == NULL || mor_serve_is_live(service->serve))
        cli_notify("WATCHDOG=1");
}

static void tell_supervisor(struct cli_service *service)
{
    size_t ended = cli_topics_ended(service);
    if (ended == service->told_ended)
        return;
    service->told_ended = ended;
    cli_notify("STATUS=%zu topics, %zu of them stopped by an error: see the status page",
               service->topic_count, ended);
}

void cli_service_tend(struct cli_service *service)
{
    int64_t now_ms = mor_clock_mono_ms();
    atomic_store(&service->heartbeat_ms, now_ms);
    cli_topics_succeed(service);
    tell_supervisor(service);
    feed_watchdog(service, now_ms);
}

// The supervisor would kill us after its own time-out, which knows nothing of ours.
static void ask_for_time(int64_t deadline_ms)
{
    cli_notify("STOPPING=1\nSTATUS=commits what was taken in\nEXTEND_TIMEOUT_USEC=%lld",
               (long long)(deadline_ms - mor_clock_mono_ms() + STOP_MARGIN_MS) * 1000);
}

static void wait_for_topics(struct cli_service *service)
{
    while (cli_topics_ended(service) < service->topic_count) {
        struct timespec pause = {0, 5 * 1000000};
        nanosleep(&pause, NULL);
        int64_t now_ms = mor_clock_mono_ms();
        atomic_store(&service->heartbeat_ms, now_ms);
        feed_watchdog(service, now_ms);
    }
}

size_t cli_service_stop(struct cli_service *service)
{
    size_t failed = 0;
    int64_t timeout_ms =
        service->current != NULL ? service->current->config->shutdown_timeout_ms : 0;
    int64_t deadline_ms = mor_clock_mono_ms() + timeout_ms;
    ask_for_time(deadline_ms);
    cli_topics_stop(service, deadline_ms);
    wait_for_topics(service);
    for (size_t i = 0; i < service->topic_count; i++)
        failed += cli_topic_has_failed(service->topics[i]);
    mor_serve_free(service->serve); // it asks the topics until here
    cli_topics_unref(service->topics, service->topic_count);
    if (service->current != service->first)
        cli_generation_unref(service->current);
    cli_generation_unref(service->first);
    pthread_mutex_destroy(&service->mutex);
    *service = (struct cli_service){0};
    return failed;
}

static sigset_t watched_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

void cli_block_signals(void)
{
    sigset_t signals = watched_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int cli_wait_signal(int64_t timeout_ms)
{
    sigset_t signals = watched_signals();
    struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
    int signal_number = sigtimedwait(&signals, NULL, &timeout);
    return signal_number > 0 ? signal_number : 0;
}
