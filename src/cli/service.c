#include "service.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/source.h"

#define MMAP_THRESHOLD_BYTES (128 << 10)
#define TRIM_THRESHOLD_BYTES (1 << 20)
#define MALLOC_ARENAS        2
// What the process needs before it holds a record: code, libraries, threads, librdkafka's own.
#define FIXED_BYTES (32u << 20)

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
    return status == MOR_OK ? config : NULL;
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

// Large buffers come from mmap and go back to the system when they are freed, so that resident
// memory follows the budget; few malloc arenas, so that threads do not each keep a heap of their
// own.
static void tune_malloc(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
}

// What is left of the configured memory for records and files in the making.
static size_t for_records(int64_t memory_bytes)
{
    size_t memory = (size_t)memory_bytes;
    return memory > 2 * FIXED_BYTES ? memory - FIXED_BYTES : memory / 2;
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

enum mor_status cli_service_start(struct cli_service *service, struct mor_config *take_config,
                                  struct mor_error *err)
{
    *service = (struct cli_service){.config = take_config, .started_ms = mor_clock_wall_ms()};
    tune_malloc();
    mor_log_configure(take_config->log.level, take_config->log.format);
    mor_budget_init(&service->budget, for_records(take_config->memory_bytes));
    log_start(take_config);
    enum mor_status status = cli_open_registry(take_config, &service->registry, err);
    service->pipelines = mor_calloc(take_config->topic_count, sizeof *service->pipelines);
    if (status == MOR_OK)
        status = cli_service_serve(service, err);
    for (size_t i = 0; i < take_config->topic_count && status == MOR_OK; i++) {
        struct mor_pipeline_options options = {.config = take_config,
                                               .topic = &take_config->topics[i],
                                               .registry = service->registry,
                                               .budget = &service->budget,
                                               .budget_share_bytes =
                                                   for_records(take_config->memory_bytes) /
                                                   take_config->topic_count};
        status = mor_pipeline_start(&options, &service->pipelines[i], err);
        if (status == MOR_OK)
            atomic_store(&service->published, ++service->pipeline_count);
    }
    if (status != MOR_OK)
        (void)cli_service_stop(service);
    return status;
}

bool cli_service_has_ended(const struct cli_service *service)
{
    for (size_t i = 0; i < service->pipeline_count; i++)
        if (!mor_pipeline_has_ended(service->pipelines[i]))
            return false;
    return true;
}

static bool has_failed(struct mor_pipeline *pipeline)
{
    struct mor_pipeline_status *status = mor_alloc(sizeof *status);
    mor_pipeline_status(pipeline, status);
    bool failed = status->state == MOR_PIPELINE_FAILED;
    free(status);
    return failed;
}

size_t cli_service_stop(struct cli_service *service)
{
    size_t failed = 0;
    int64_t deadline_ms = mor_clock_mono_ms() + service->config->shutdown_timeout_ms;
    for (size_t i = 0; i < service->pipeline_count; i++)
        mor_pipeline_stop(service->pipelines[i], deadline_ms);
    for (size_t i = 0; i < service->pipeline_count; i++) {
        while (!mor_pipeline_has_ended(service->pipelines[i])) {
            struct timespec pause = {0, 5 * 1000000};
            nanosleep(&pause, NULL);
            cli_service_beat(service);
        }
        failed += has_failed(service->pipelines[i]);
    }
    mor_serve_free(service->serve); // it asks the pipelines until here
    for (size_t i = 0; i < service->pipeline_count; i++)
        mor_pipeline_free(service->pipelines[i]);
    free(service->pipelines);
    mor_registry_free(service->registry);
    mor_config_free(service->config);
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
