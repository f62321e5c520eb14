// Columns of a topic that declares none: those of its table, or what its first records have in
// common.
#ifndef MORAINE_PIPELINE_TOPIC_INFER_H
#define MORAINE_PIPELINE_TOPIC_INFER_H

#include "moraine/column.h"
#include "moraine/config.h"

// The payload's fields. RETRY while the topic has no record to look at, or nobody answers. `config`
// NULL: only a table that exists is looked at. Logs what was inferred.
enum mor_status mor_topic_infer(const struct mor_config *config,
                                const struct mor_config_topic *topic,
                                struct mor_schema **ret_schema, struct mor_error *err) MOR_CHECKED;

#endif
