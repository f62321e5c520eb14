// Which columns a topic's rows have and what fills each of them.
#ifndef MORAINE_PIPELINE_TOPIC_COLUMNS_H
#define MORAINE_PIPELINE_TOPIC_COLUMNS_H

#include "moraine/column.h"
#include "moraine/config.h"
#include "moraine/decode.h"

#define PROVENANCE_PARTITION "_kafka_partition"
#define PROVENANCE_OFFSET    "_kafka_offset"

struct mor_topic_columns {
    struct mor_arena arena;  // of what follows
    struct mor_schema *rows; // payload columns, then attributes; in the source's types
    size_t payload_count;
    struct mor_route *routes; // NULL = the payload's columns are its fields
    size_t route_count;
    bool row_is_whole; // a change event's row, no field of it left out by choice
    struct mor_attribute *attributes;
    size_t attribute_count;
    int32_t offset_column; // provenance, -1 = off
};

// Chooses the columns. `source` is the payload as the topic declares it (NULL for raw values); for
// change events in JSON the row, which is then wrapped into the event: *source is replaced. FATAL
// with the place in the topic's file.
enum mor_status mor_topic_columns_choose(const struct mor_config_topic *topic,
                                         struct mor_schema **source,
                                         struct mor_topic_columns *ret_columns,
                                         struct mor_error *err) MOR_CHECKED;
void mor_topic_columns_done(struct mor_topic_columns *columns);
// Whether some column needs the records' headers.
bool mor_topic_columns_want_headers(const struct mor_topic_columns *columns);

#endif
