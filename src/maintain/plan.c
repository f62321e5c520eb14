// Which file groups are due, and which of them first.
#include "plan.h"

// Ratios of small files say nothing: such file groups are merged by the number of their deltas.
#define RATIO_BYTES_MIN (1 << 20)
// Not every reader takes deltas whose columns have other types than the table's.
#define URGENCY_OUTDATED 2

static double larger(double a, double b)
{
    return a > b ? a : b;
}

// With places: the share of a file's rows that are removed.
static double removed_share(const struct mor_slice *slice)
{
    if (slice->base_row_count <= 0)
        return 0;
    double share = (double)slice->delta_row_count / (double)slice->base_row_count;
    return share < 1 ? share : 1;
}

static double urgency(const struct mor_slice *slice, const struct mor_compact_options *options,
                      int64_t now_ms)
{
    const struct mor_compaction_limits *limits = &options->limits;
    double result = options->everything ? 1 : 0;
    if (slice->delta_count == 0)
        return 0;
    if (slice->has_outdated_delta)
        result = URGENCY_OUTDATED;
    if (!slice->base_key)
        return larger(result, 1); // engines that only read base files do not see its rows at all
    if (limits->max_delta_files > 0)
        result = larger(result, (double)slice->delta_count / (double)limits->max_delta_files);
    if (limits->max_delta_ratio > 0 && slice->delta_row_count > 0)
        result = larger(result, removed_share(slice) / limits->max_delta_ratio);
    else if (limits->max_delta_ratio > 0 && slice->delta_size_bytes >= RATIO_BYTES_MIN)
        result = larger(result, (double)slice->delta_size_bytes /
                                    (double)(slice->base_size_bytes + 1) / limits->max_delta_ratio);
    if (limits->max_delta_bytes > 0)
        result = larger(result, (double)slice->delta_size_bytes / (double)limits->max_delta_bytes);
    if (limits->max_delta_age_ms > 0)
        result = larger(result, (double)(now_ms - slice->oldest_delta_ms) /
                                    (double)limits->max_delta_age_ms);
    return result;
}

static int compare_items(const void *a, const void *b)
{
    const struct mor_compaction_item *left = a, *right = b;
    if (left->urgency != right->urgency)
        return left->urgency < right->urgency ? 1 : -1;
    return (left->slice->delta_size_bytes < right->slice->delta_size_bytes) -
           (left->slice->delta_size_bytes > right->slice->delta_size_bytes);
}

size_t mor_compaction_plan(const struct mor_slice *slices, size_t count,
                           const struct mor_compact_options *options, int64_t now_ms,
                           struct mor_arena *arena, struct mor_compaction_item **ret_items)
{
    struct mor_compaction_item *items = mor_arena_alloc(arena, (count + 1) * sizeof *items);
    size_t item_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (options->partition && strcmp(slices[i].partition, options->partition) != 0)
            continue;
        // small files of tables with places are gathered with their deltas
        if (slices[i].delta_row_count > 0 &&
            slices[i].base_size_bytes < options->limits.target_file_size_bytes / 2)
            continue;
        double value = urgency(&slices[i], options, now_ms);
        if (value >= 1)
            items[item_count++] = (struct mor_compaction_item){&slices[i], value};
    }
    if (item_count > 1)
        qsort(items, item_count, sizeof *items, compare_items);
    *ret_items = items;
    return item_count;
}

// ---- small files --------------------------------------------------------------------------------

static int compare_slices(const void *a, const void *b)
{
    const struct mor_slice *left = *(const struct mor_slice *const *)a;
    const struct mor_slice *right = *(const struct mor_slice *const *)b;
    int order = strcmp(left->partition, right->partition);
    // files of about the same size together, so that no row is written anew for a few others
    if (order == 0)
        order = (left->base_size_bytes > right->base_size_bytes) -
                (left->base_size_bytes < right->base_size_bytes);
    return order != 0 ? order : strcmp(left->base_key, right->base_key);
}

// What is left of a file when it is rewritten, about.
static int64_t live_bytes(const struct mor_slice *slice)
{
    return (int64_t)((double)slice->base_size_bytes * (1 - removed_share(slice)));
}

size_t mor_cluster_plan(const struct mor_slice *slices, size_t count,
                        const struct mor_compact_options *options, struct mor_arena *arena,
                        struct mor_cluster **ret_clusters)
{
    int64_t target = options->limits.target_file_size_bytes;
    const struct mor_slice **small = mor_arena_alloc(arena, (count + 1) * sizeof *small);
    struct mor_cluster *clusters = mor_arena_alloc(arena, (count + 1) * sizeof *clusters);
    size_t small_count = 0, cluster_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = !options->partition || strcmp(slices[i].partition, options->partition) == 0;
        if (wanted && slices[i].base_key &&
            (slices[i].delta_count == 0 || slices[i].delta_row_count > 0) &&
            slices[i].base_size_bytes < target / 2)
            small[small_count++] = &slices[i];
    }
    if (small_count > 1)
        qsort(small, small_count, sizeof *small, compare_slices);
    for (size_t first = 0, next; first < small_count; first = next) {
        struct mor_cluster cluster = {.slices = &small[first]};
        for (next = first; next < small_count && cluster.bytes < target &&
                           strcmp(small[next]->partition, small[first]->partition) == 0;
             next++)
            cluster.bytes += live_bytes(small[next]);
        cluster.slice_count = next - first;
        bool full = cluster.bytes >= target || cluster.slice_count >= CLUSTER_FILES_FULL;
        bool hollow = options->limits.max_delta_ratio > 0 &&
                      removed_share(small[first]) >= options->limits.max_delta_ratio;
        if ((cluster.slice_count > 1 && (full || options->everything)) ||
            (cluster.slice_count == 1 &&
             (hollow || (options->everything && small[first]->delta_count > 0))))
            clusters[cluster_count++] = cluster;
    }
    *ret_clusters = clusters;
    return cluster_count;
}
