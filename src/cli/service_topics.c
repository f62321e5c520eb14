// The topics of a running service: who holds them, and how a list of topics becomes another one.

#include "service.h"

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/base/thread.h"

// What the process needs before it holds a record: code, libraries, threads, librdkafka's own.
#define FIXED_BYTES (32u << 20)
#define KEPT_SHARE  16 // of the memory: buffers that wait for their next use

size_t cli_memory_kept(const struct mor_config *config)
{
    return (size_t)config->memory_bytes / KEPT_SHARE;
}

size_t cli_memory_for_records(const struct mor_config *config)
{
    size_t memory = (size_t)config->memory_bytes, fixed = FIXED_BYTES + cli_memory_kept(config);
    return memory > 2 * fixed ? memory - fixed : memory / 2;
}

// ---- generations --------------------------------------------------------------------------------

enum mor_status cli_generation_new(struct mor_config *take_config,
                                   struct cli_generation **ret_generation, struct mor_error *err)
{
    struct cli_generation *generation = mor_calloc(1, sizeof *generation);
    generation->config = take_config;
    atomic_init(&generation->users, 1);
    enum mor_status status = cli_open_registry(take_config, &generation->registry, err);
    if (status != MOR_OK) {
        cli_generation_unref(generation);
        return status;
    }
    *ret_generation = generation;
    return MOR_OK;
}

static struct cli_generation *generation_ref(struct cli_generation *generation)
{
    atomic_fetch_add(&generation->users, 1);
    return generation;
}

void cli_generation_unref(struct cli_generation *generation)
{
    if (generation == NULL || atomic_fetch_sub(&generation->users, 1) > 1)
        return;
    mor_registry_free(generation->registry);
    mor_config_free(generation->config);
    free(generation);
}

// ---- one topic ----------------------------------------------------------------------------------

static struct cli_topic *topic_new(struct cli_generation *generation,
                                   const struct mor_config_topic *config)
{
    struct cli_topic *topic = mor_calloc(1, sizeof *topic);
    topic->generation = generation_ref(generation);
    topic->config = config;
    atomic_init(&topic->users, 1);
    return topic;
}

static void topic_unref(struct cli_topic *topic)
{
    if (topic == NULL || atomic_fetch_sub(&topic->users, 1) > 1)
        return;
    mor_maintainer_free(topic->maintainer);
    mor_pipeline_free(topic->pipeline);
    cli_generation_unref(topic->generation);
    free(topic->failure);
    free(topic);
}

static void topic_start(struct cli_service *service, struct cli_topic *topic)
{
    const struct mor_config *config = topic->generation->config;
    struct mor_pipeline_options options = {.config = config,
                                           .topic = topic->config,
                                           .registry = topic->generation->registry,
                                           .budget = &service->budget,
                                           .budget_share_bytes =
                                               service->budget.limit_bytes / config->topic_count};
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_pipeline_start(&options, &topic->pipeline, &err) == MOR_OK) {
        cli_upkeep_start(service, topic);
        return;
    }
    topic->failure = mor_strdup(err.message);
    MOR_LOG(ERROR, "topic_failed", MOR_STR("topic", topic->config->topic),
            MOR_STR("class", mor_status_name(err.status)), MOR_STR("msg", err.message));
}

static void topic_stop(struct cli_topic *topic, int64_t deadline_ms)
{
    if (topic->maintainer != NULL)
        mor_maintainer_stop(topic->maintainer);
    if (topic->pipeline != NULL)
        mor_pipeline_stop(topic->pipeline, deadline_ms);
}

static bool topic_has_ended(const struct cli_topic *topic)
{
    return topic->pipeline == NULL || mor_pipeline_has_ended(topic->pipeline);
}

bool cli_topic_has_failed(struct cli_topic *topic)
{
    if (topic->pipeline == NULL)
        return true;
    MOR_AUTO_FREE struct mor_pipeline_status *status = mor_alloc(sizeof *status);
    mor_pipeline_status(topic->pipeline, status);
    return status->state == MOR_PIPELINE_FAILED;
}

// ---- the list -----------------------------------------------------------------------------------

struct cli_topic **cli_topics_ref(struct cli_service *service, size_t *ret_count)
{
    MOR_LOCKED(&service->mutex);
    struct cli_topic **topics = mor_calloc(service->topic_count, sizeof *topics);
    for (size_t i = 0; i < service->topic_count; i++) {
        topics[i] = service->topics[i];
        atomic_fetch_add(&topics[i]->users, 1);
    }
    *ret_count = service->topic_count;
    return topics;
}

void cli_topics_unref(struct cli_topic **topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        topic_unref(topics[i]);
    free(topics);
}

static void list_add(struct cli_service *service, struct cli_topic *take_topic)
{
    MOR_LOCKED(&service->mutex);
    service->topics =
        mor_realloc(service->topics, (service->topic_count + 1) * sizeof *service->topics);
    service->topics[service->topic_count++] = take_topic;
}

// Puts another one, or with NULL nobody, in the place of topic `index`.
static void list_replace(struct cli_service *service, size_t index, struct cli_topic *take_topic)
{
    struct cli_topic *old;
    {
        MOR_LOCKED(&service->mutex);
        old = service->topics[index];
        service->topics[index] = take_topic;
        if (take_topic == NULL) {
            service->topic_count--;
            memmove(&service->topics[index], &service->topics[index + 1],
                    (service->topic_count - index) * sizeof *service->topics);
        }
    }
    topic_unref(old);
}

// ---- following a configuration ------------------------------------------------------------------

static const struct mor_config_topic *find_config(const struct mor_config *config, const char *name)
{
    for (size_t i = 0; i < config->topic_count; i++)
        if (strcmp(config->topics[i].topic, name) == 0)
            return &config->topics[i];
    return NULL;
}

static bool has_topic(const struct cli_service *service, const char *name)
{
    for (size_t i = 0; i < service->topic_count; i++)
        if (strcmp(service->topics[i]->config->topic, name) == 0)
            return true;
    return false;
}

static void topic_leave(struct cli_service *service, struct cli_topic *topic,
                        struct cli_topic *take_successor)
{
    topic_unref(topic->successor); // of a reload before this one
    topic->successor = take_successor;
    if (topic->leaving)
        return;
    topic->leaving = true;
    topic_stop(topic, mor_clock_mono_ms() + service->current->config->shutdown_timeout_ms);
}

// Every topic has the same part of the budget.
static void share_budget(const struct cli_service *service)
{
    for (size_t i = 0; i < service->topic_count; i++)
        if (service->topics[i]->pipeline != NULL)
            mor_pipeline_set_share(service->topics[i]->pipeline,
                                   service->budget.limit_bytes / service->topic_count);
}

void cli_topics_follow(struct cli_service *service, struct cli_generation *generation, bool all,
                       struct cli_topic_changes *ret_changes)
{
    struct cli_topic_changes changes = {0};
    for (size_t i = 0; i < service->topic_count; i++) {
        struct cli_topic *topic = service->topics[i];
        const struct mor_config_topic *wanted =
            find_config(generation->config, topic->config->topic);
        if (wanted == NULL) {
            topic_leave(service, topic, NULL);
            changes.removed++;
        } else if (all || topic->leaving || cli_topic_has_failed(topic) ||
                   !mor_config_topic_equals(topic->config, wanted)) {
            topic_leave(service, topic, topic_new(generation, wanted));
            changes.restarted++;
        } else {
            changes.kept++;
        }
    }
    for (size_t i = 0; i < generation->config->topic_count; i++) {
        const struct mor_config_topic *config = &generation->config->topics[i];
        if (has_topic(service, config->topic))
            continue;
        struct cli_topic *topic = topic_new(generation, config);
        topic_start(service, topic);
        list_add(service, topic);
        changes.added++;
    }
    share_budget(service);
    *ret_changes = changes;
}

void cli_topics_succeed(struct cli_service *service)
{
    for (size_t i = 0; i < service->topic_count;) {
        struct cli_topic *topic = service->topics[i];
        if (!topic->leaving || !topic_has_ended(topic)) {
            i++;
            continue;
        }
        struct cli_topic *successor = topic->successor;
        topic->successor = NULL;
        MOR_LOG(INFO, successor != NULL ? "topic_restarted" : "topic_removed",
                MOR_STR("topic", topic->config->topic));
        if (successor != NULL)
            topic_start(service, successor);
        list_replace(service, i, successor);
        i += successor != NULL;
        share_budget(service);
    }
}

void cli_topics_stop(struct cli_service *service, int64_t deadline_ms)
{
    for (size_t i = 0; i < service->topic_count; i++) {
        struct cli_topic *topic = service->topics[i];
        topic_unref(topic->successor);
        topic->successor = NULL;
        topic_stop(topic, deadline_ms);
    }
}

size_t cli_topics_ended(const struct cli_service *service)
{
    size_t count = 0;
    for (size_t i = 0; i < service->topic_count; i++)
        count += service->topics[i]->successor == NULL && topic_has_ended(service->topics[i]);
    return count;
}
