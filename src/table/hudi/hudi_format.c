// Hudi's row in the registry of formats.
#include "hudi/hudi_table.h"

const struct mor_table_ops mor_table_hudi_ops = {
    .name = "hudi",
    .format = MOR_FORMAT_HUDI,
    .probe = hudi_probe,
    .normalise_field = hudi_normalise_field,
    .open_write = hudi_open_write,
    .open_read = hudi_open_read,
    .free = hudi_free,
    .property = hudi_property,
    .has_group = hudi_has_group,
    .partitions_with_bucket = hudi_partitions_with_bucket,
    .write_begin = hudi_write_begin,
    .write_group = hudi_write_group,
    .write_commit = hudi_write_commit,
    .write_free = hudi_write_free,
    .history = hudi_history,
    .slices = hudi_slices,
    .version_at = hudi_version_at,
    .describe = hudi_describe,
    .merge_rule = hudi_merge_rule,
    .column = hudi_column,
    .delta_open = hudi_delta_open,
    .delta_next = hudi_delta_next,
    .delta_select = hudi_delta_select,
    .delta_free = hudi_delta_free,
};
