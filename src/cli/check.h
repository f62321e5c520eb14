// What `moraine check` shares between the things it looks at: the findings.
#ifndef MORAINE_CLI_CHECK_H
#define MORAINE_CLI_CHECK_H

#include "cli.h"
#include "moraine/config.h"
#include "moraine/decode.h"
#include "moraine/source.h"

enum check_level {
    CHECK_ERROR,   // the configuration, or something beside it, must be changed
    CHECK_AWAY,    // could not be looked at now; the service would wait for it
    CHECK_WARNING, // works, but perhaps not as meant
};

struct check {
    const struct mor_config *config;
    struct mor_registry *registry; // NULL = none, or not to be asked
    bool offline, plan;
    bool kafka_away; // no broker answered; the other topics need not wait for one as well
    size_t counts[CHECK_WARNING + 1];
};

// Writes a finding to standard error with the place of option `key` in the topic's file, or with
// NULL in the service's. Secrets are taken out.
void check_find(struct check *check, enum check_level level, const struct mor_config_topic *topic,
                const char *key, const char *format, ...) __attribute__((format(printf, 5, 6)));
// Same for an error that a module returned: RETRY is "away". Its message may begin with the path of
// the topic's file and an option ("orders.yaml: key: …"), which is the place then.
void check_find_error(struct check *check, const struct mor_config_topic *topic, const char *key,
                      const struct mor_error *err, const char *advice);

// Broker, topic, rights (check_kafka.c). False when the probe is not filled.
bool check_kafka(struct check *check, const struct mor_config_topic *topic,
                 struct mor_source_probe *ret_probe);
// librdkafka's properties, without a broker.
void check_kafka_properties(struct check *check, const struct mor_config_topic *topic);
// Whether a folder or bucket can be written as the service will (check_storage.c). Tables need
// put-if-absent. Nothing stays behind.
void check_storage(struct check *check, const struct mor_config_topic *topic, const char *key,
                   const char *location);
// Whether the table that is there already fits (check_table.c). `columns`: lines "name type[ not
// null]".
void check_table(struct check *check, const struct mor_config_topic *topic, const char *columns);
// The table as DDL and what to expect per hour, to standard output (check_plan.c). probe NULL = not
// asked.
void check_print_plan(const struct mor_config_topic *topic, const char *columns,
                      const struct mor_source_probe *probe);

#endif
