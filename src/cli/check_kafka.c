// Broker, topic and rights, as the service's own consumer would find them.

#include "check.h"

static struct mor_source_property *properties_of(const struct mor_config *config)
{
    struct mor_source_property *properties = mor_calloc(config->kafka_count, sizeof *properties);
    for (size_t i = 0; i < config->kafka_count; i++)
        properties[i] = (struct mor_source_property){config->kafka[i].name, config->kafka[i].value};
    return properties;
}

static struct mor_source_options options_of(const struct check *check,
                                            const struct mor_config_topic *topic,
                                            const struct mor_source_property *properties)
{
    return (struct mor_source_options){.topic = topic->topic,
                                       .group_id = topic->group,
                                       .properties = properties,
                                       .property_count = check->config->kafka_count};
}

void check_kafka_properties(struct check *check, const struct mor_config_topic *topic)
{
    MOR_AUTO_FREE struct mor_source_property *properties = properties_of(check->config);
    struct mor_source_options options = options_of(check, topic, properties);
    struct mor_error err = MOR_ERROR_INIT;
    if (mor_source_check_properties(&options, &err) != MOR_OK)
        check_find(check, CHECK_ERROR, NULL, "kafka", "%s", err.message);
}

static void judge(struct check *check, const struct mor_config_topic *topic,
                  const struct mor_source_probe *probe)
{
    if (probe->read_topic == MOR_RIGHT_MISSING)
        check_find(check, CHECK_ERROR, topic, "topic",
                   "this user may not read topic '%s': grant it Read and Describe on the topic",
                   topic->topic);
    if (probe->read_group == MOR_RIGHT_MISSING)
        check_find(check, CHECK_ERROR, topic, "group",
                   "this user may not read as group '%s': grant it Read on the consumer group",
                   topic->group);
    if (probe->partitions_without_answer > 0)
        check_find(check, CHECK_AWAY, topic, "topic",
                   "%d of the %d partitions of '%s' did not tell their offsets: they have no "
                   "leader now, or this user may not describe the topic",
                   probe->partitions_without_answer, probe->partition_count, topic->topic);
}

bool check_kafka(struct check *check, const struct mor_config_topic *topic,
                 struct mor_source_probe *ret_probe)
{
    MOR_AUTO_FREE struct mor_source_property *properties = properties_of(check->config);
    struct mor_source_options options = options_of(check, topic, properties);
    struct mor_error err = MOR_ERROR_INIT;
    if (check->kafka_away)
        return false;
    enum mor_status status = mor_source_probe(&options, ret_probe, &err);
    check->kafka_away = status == MOR_RETRY;
    if (status == MOR_OK)
        judge(check, topic, ret_probe);
    else if (status == MOR_RETRY)
        check_find(check, CHECK_AWAY, NULL, "kafka",
                   "%s. Is kafka.bootstrap.servers right, and reachable from this machine?",
                   err.message);
    else
        check_find_error(check, topic, "topic", &err, "");
    return status == MOR_OK;
}
