// Reading the configuration again while the service runs.

#include "service.h"

#include <stdio.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"
#include "service_notify.h"

// What a change of a service option asks for. What is not listed is taken over at once.
enum reach { AT_ONCE, EVERY_TOPIC, PROCESS };
static const struct {
    const char *prefix; // of the option's key
    enum reach reach;
} reaches[] = {
    {"instance", PROCESS},     {"state_dir", PROCESS},
    {"memory", PROCESS},       {"lanes", PROCESS},
    {"http", PROCESS},         {"kafka", EVERY_TOPIC},
    {"storage", EVERY_TOPIC},  {"schema_registry", EVERY_TOPIC},
    {"catalogs", EVERY_TOPIC},
};

struct differences {
    bool every_topic;
    struct mor_buffer process; // keys that a restart of the process takes over
};

static void note_difference(void *context, const char *key)
{
    struct differences *differences = context;
    for (size_t i = 0; i < sizeof reaches / sizeof reaches[0]; i++) {
        size_t length = strlen(reaches[i].prefix);
        if (strncmp(key, reaches[i].prefix, length) != 0 ||
            (key[length] != '\0' && key[length] != '.'))
            continue;
        if (reaches[i].reach == EVERY_TOPIC)
            differences->every_topic = true;
        else if (reaches[i].reach == PROCESS)
            mor_buffer_printf(&differences->process, "%s%s",
                              differences->process.size_bytes > 0 ? ", " : "", key);
    }
}

// Options that hold for the whole process stay what they were at its start.
static void keep_process_options(struct mor_config *config, const struct mor_config *first)
{
    config->instance = first->instance;
    config->state_dir = first->state_dir;
    config->memory_bytes = first->memory_bytes;
    config->lanes = first->lanes;
    config->http.listen = first->http.listen;
    config->http.token = first->http.token;
}

static void set_outcome(struct cli_service *service, const char *trouble)
{
    MOR_LOCKED(&service->mutex);
    (void)snprintf(service->reload_trouble, sizeof service->reload_trouble, "%s", trouble);
    service->reload_ms = mor_clock_wall_ms();
    if (trouble[0] != '\0')
        service->reloads_refused++;
    else
        service->reloads_done++;
}

static void refuse(struct cli_service *service, const char *first_error, size_t error_count)
{
    MOR_AUTO_FREE char *words =
        mor_asprintf("%s%s", first_error,
                     error_count > 1 ? " (and more errors: see the log or 'moraine check')" : "");
    mor_config_redact(service->current->config, words);
    set_outcome(service, words);
    MOR_LOG(ERROR, "reload_refused", MOR_INT("errors", error_count),
            MOR_STR("msg", "the configuration that was loaded before stays"));
}

// NULL after the reload was refused.
static struct mor_config *load_again(struct cli_service *service)
{
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    const char *first_error = NULL;
    enum mor_status status = mor_config_load(service->config_path, &config, &report);
    for (size_t i = 0; i < report.count; i++) {
        const struct mor_config_note *note = &report.notes[i];
        if (note->is_error && first_error == NULL)
            first_error = note->text;
        if (note->is_error)
            MOR_LOG(ERROR, "config_error", MOR_STR("msg", note->text));
        else
            MOR_LOG(WARN, "config_warning", MOR_STR("msg", note->text));
    }
    if (status != MOR_OK)
        refuse(service, first_error, report.error_count);
    mor_config_report_done(&report);
    return status == MOR_OK ? config : NULL;
}

static void take_over(struct cli_service *service, struct cli_generation *take_generation,
                      bool every_topic)
{
    struct cli_generation *old = service->current;
    struct cli_topic_changes changes;
    const struct mor_config *config = take_generation->config;
    cli_configure_log(config);
    cli_use_catalogs(config);
    service->current = take_generation;
    cli_topics_follow(service, take_generation, every_topic, &changes);
    if (old != service->first)
        cli_generation_unref(old);
    set_outcome(service, "");
    MOR_LOG(INFO, "reload_done", MOR_INT("added", changes.added),
            MOR_INT("removed", changes.removed), MOR_INT("restarted", changes.restarted),
            MOR_INT("kept", changes.kept));
}

void cli_service_reload(struct cli_service *service)
{
    cli_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)mor_clock_mono_ms() * 1000);
    struct mor_config *config = load_again(service);
    if (config != NULL) {
        struct differences differences = {0}, pending = {0};
        mor_config_differences(service->first->config, config, note_difference, &pending);
        keep_process_options(config, service->first->config);
        mor_config_differences(service->current->config, config, note_difference, &differences);
        struct cli_generation *generation;
        struct mor_error err = MOR_ERROR_INIT;
        if (cli_generation_new(config, &generation, &err) == MOR_OK)
            take_over(service, generation, differences.every_topic);
        else
            refuse(service, err.message, 1);
        if (pending.process.size_bytes > 0)
            MOR_LOG(WARN, "restart_needed",
                    MOR_STR("options", mor_buffer_terminate(&pending.process)),
                    MOR_STR("msg", "these keep their value until the service is restarted"));
        mor_buffer_done(&pending.process);
        mor_buffer_done(&differences.process);
    }
    cli_notify("READY=1");
}
