// Plans of this module that have no public name.
#ifndef MORAINE_MAINTAIN_PLAN_H
#define MORAINE_MAINTAIN_PLAN_H

#include "moraine/maintain.h"

#define CLUSTER_FILES_FULL 64 // so many files are gathered whatever their size

// Small files of one table partition that become one.
struct mor_cluster {
    const struct mor_slice **slices;
    size_t slice_count;
    int64_t bytes;
};
// Clusters of the slices that are due; in the arena.
size_t mor_cluster_plan(const struct mor_slice *slices, size_t count,
                        const struct mor_compact_options *options, struct mor_arena *arena,
                        struct mor_cluster **ret_clusters);

#endif
