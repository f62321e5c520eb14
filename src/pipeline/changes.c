#include "changes.h"

#include <assert.h>

#include "moraine/base/map.h"

// What is known of one file group while its rows are gathered.
struct group {
    const char *partition;
    int32_t bucket;
    size_t row_count; // rows that name it, tombstones included
    struct mor_row_ref *refs;
    struct mor_outcomes outcomes;
    struct group *next_of_bucket;
};

struct builder {
    struct mor_table *table;
    const struct mor_lane_plan *plan;
    int32_t ordering_column;
    const struct mor_batch_part *parts;
    size_t part_count;
    struct mor_changes *changes;
    struct mor_map group_of_name;  // partition + '\0' + bucket -> struct group
    struct mor_map bucket_of_name; // bucket -> first struct group of it
    uint32_t **group_of_local; // [part][the router's id] -> index into group_of_name's entries + 1
    size_t *local_count;
};

static struct group *group_at(const struct builder *builder, size_t index)
{
    assert(index < builder->group_of_name.count);
    return builder->group_of_name.entries[index].value.pointer;
}

// Index of the group of a partition and a bucket, made when it is new. Append-only tables have no
// buckets: the rows of each lane (`part`) become a group of their own, so lanes are encoded side by
// side.
static size_t find_group(struct builder *builder, const char *partition, int32_t bucket,
                         size_t part)
{
    size_t length = strlen(partition);
    MOR_AUTO_BUFFER name = {0};
    mor_buffer_append(&name, partition, length + 1);
    mor_buffer_append_le32(&name, builder->plan->keyed ? (uint32_t)bucket : (uint32_t)part);
    bool added;
    struct mor_map_entry *entry =
        mor_map_put(&builder->group_of_name, name.data, name.size_bytes, &added);
    if (added) {
        struct mor_arena *arena = &builder->changes->arena;
        struct group *group = mor_arena_calloc(arena, 1, sizeof *group);
        group->partition = mor_arena_strdup(arena, partition);
        group->bucket = bucket;
        struct mor_map_entry *first =
            mor_map_put(&builder->bucket_of_name, &bucket, sizeof bucket, NULL);
        group->next_of_bucket = first->value.pointer;
        first->value.pointer = group;
        entry->value.pointer = group;
    }
    return (size_t)(entry - builder->group_of_name.entries);
}

// The group of a row that knows its partition.
static struct group *group_of_row(struct builder *builder, size_t part, uint32_t local)
{
    if (local >= builder->local_count[part]) {
        size_t grown =
            builder->local_count[part] * 2 > local ? builder->local_count[part] * 2 : local + 64;
        builder->group_of_local[part] =
            mor_realloc(builder->group_of_local[part], grown * sizeof(uint32_t));
        memset(builder->group_of_local[part] + builder->local_count[part], 0,
               (grown - builder->local_count[part]) * sizeof(uint32_t));
        builder->local_count[part] = grown;
    }
    uint32_t *known = &builder->group_of_local[part][local];
    if (*known == 0) {
        const char *partition;
        int32_t bucket;
        mor_router_group(builder->parts[part].batch->router, local, &partition, &bucket);
        *known = (uint32_t)find_group(builder, partition, bucket, part) + 1;
    }
    return group_at(builder, *known - 1);
}

// The groups that a tombstone reaches: a list through next_of_bucket, NULL when there are none.
static struct group *groups_of_tombstone(struct builder *builder, uint32_t local)
{
    int32_t bucket = (int32_t)(local & ~MOR_GROUP_ANY_PARTITION);
    const struct mor_map_entry *entry =
        mor_map_find(&builder->bucket_of_name, &bucket, sizeof bucket);
    return entry != NULL ? entry->value.pointer : NULL;
}

static void add_table_groups(struct builder *builder, int32_t bucket)
{
    const char **partitions;
    size_t count;
    mor_table_partitions_with_bucket(builder->table, bucket, &builder->changes->arena, &partitions,
                                     &count);
    for (size_t i = 0; i < count; i++)
        (void)find_group(builder, partitions[i], bucket, 0);
}

// Calls visit for every row that the commit takes in, in the order of its lane.
typedef void visit_row(struct builder *builder, size_t part, size_t row, uint32_t local);

static void for_each_row(struct builder *builder, visit_row *visit)
{
    for (size_t part = 0; part < builder->part_count; part++) {
        const struct mor_lane_batch *batch = builder->parts[part].batch;
        for (size_t i = 0; i < batch->run_count; i++) {
            const struct mor_run *run = &batch->runs[i];
            if (!builder->parts[part].take_run[i])
                continue;
            for (size_t row = run->row_first; row < run->row_first + run->row_count; row++)
                if (batch->groups[row] != MOR_GROUP_INVALID &&
                    (batch->flags[row] & ROW_LEFT_OUT) == 0)
                    visit(builder, part, row, batch->groups[row]);
        }
    }
}

// First pass: rows that know their group make it known; buckets of tombstones bring the table's
// groups.
static void discover_row(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    (void)row;
    if ((local & MOR_GROUP_ANY_PARTITION) != 0) {
        bool added;
        uint64_t marker = (uint64_t)local << 32; // kept apart from bucket numbers by its size
        (void)mor_map_put(&builder->bucket_of_name, &marker, sizeof marker, &added);
        if (added)
            add_table_groups(builder, (int32_t)(local & ~MOR_GROUP_ANY_PARTITION));
    } else {
        group_of_row(builder, part, local)->row_count++;
    }
}

static void count_tombstone(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    if ((builder->parts[part].batch->flags[row] & ROW_TOMBSTONE) == 0)
        return;
    builder->changes->outcomes.deleted++; // one record, however many file groups it reaches
    if ((local & MOR_GROUP_ANY_PARTITION) == 0)
        return;
    for (struct group *group = groups_of_tombstone(builder, local); group != NULL;
         group = group->next_of_bucket)
        group->row_count++;
}

static void place_row(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    struct mor_row_ref ref = {(uint32_t)part, (uint32_t)row};
    if ((local & MOR_GROUP_ANY_PARTITION) == 0) {
        struct group *group = group_of_row(builder, part, local);
        group->refs[group->row_count++] = ref;
        return;
    }
    for (struct group *group = groups_of_tombstone(builder, local); group != NULL;
         group = group->next_of_bucket)
        group->refs[group->row_count++] = ref;
}

// Gives every group its piece of one array and fills it.
static void place_rows(struct builder *builder)
{
    struct mor_changes *changes = builder->changes;
    size_t total = 0;
    for (size_t i = 0; i < builder->group_of_name.count; i++)
        total += group_at(builder, i)->row_count;
    changes->refs = mor_alloc(total * sizeof *changes->refs);
    changes->ref_count = total;
    mor_budget_take(changes->budget, total * sizeof *changes->refs);
    size_t at = 0;
    for (size_t i = 0; i < builder->group_of_name.count; i++) {
        struct group *group = group_at(builder, i);
        group->refs = changes->refs + at;
        at += group->row_count;
        group->row_count = 0;
    }
    for_each_row(builder, place_row);
}

// ---- pre-combine --------------------------------------------------------------------------------

static int compare_numbers(double a, double b)
{
    return a < b ? -1 : a > b;
}

// Compares two ordering values, none of which is null.
static int compare_ordering(const struct mor_vector *a, size_t row_a, const struct mor_vector *b,
                            size_t row_b)
{
    switch (a->field->type) {
    case MOR_TYPE_FLOAT:
        return compare_numbers((double)((const float *)(const void *)a->data.data)[row_a],
                               (double)((const float *)(const void *)b->data.data)[row_b]);
    case MOR_TYPE_DOUBLE:
        return compare_numbers(((const double *)(const void *)a->data.data)[row_a],
                               ((const double *)(const void *)b->data.data)[row_b]);
    case MOR_TYPE_DECIMAL: {
        mor_int128 x = mor_vector_decimal(a, row_a), y = mor_vector_decimal(b, row_b);
        return x < y ? -1 : x > y;
    }
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM: {
        size_t size_a, size_b;
        const uint8_t *x = mor_vector_bytes_at(a, row_a, &size_a);
        const uint8_t *y = mor_vector_bytes_at(b, row_b, &size_b);
        int order = memcmp(x, y, size_a < size_b ? size_a : size_b);
        return order != 0 ? order : size_a < size_b ? -1 : size_a > size_b;
    }
    default:
        break;
    }
    if (mor_type_width(a->field) == 4) {
        int32_t x = mor_vector_i32(a, row_a), y = mor_vector_i32(b, row_b);
        return x < y ? -1 : x > y;
    }
    int64_t x = mor_vector_i64(a, row_a), y = mor_vector_i64(b, row_b);
    return x < y ? -1 : x > y;
}

static bool is_delete(const struct builder *builder, struct mor_row_ref ref)
{
    return (builder->parts[ref.batch].batch->flags[ref.row] & ROW_DELETE) != 0;
}

static bool is_tombstone(const struct builder *builder, struct mor_row_ref ref)
{
    return (builder->parts[ref.batch].batch->flags[ref.row] & ROW_TOMBSTONE) != 0;
}

// Does `challenger`, which comes later in the order of arrival, replace `holder`? A delete removes
// what came before it. A row that comes after a delete and is older than it is late and stays
// deleted; a tombstone has no ordering value, what follows it is new.
static bool replaces(const struct builder *builder, struct mor_row_ref holder,
                     struct mor_row_ref challenger)
{
    if (is_delete(builder, challenger) || is_tombstone(builder, holder))
        return true;
    const struct mor_batch *a = builder->parts[holder.batch].batch->rows;
    const struct mor_batch *b = builder->parts[challenger.batch].batch->rows;
    int32_t column = builder->ordering_column;
    int order =
        compare_ordering(&a->columns[column], holder.row, &b->columns[column], challenger.row);
    if (order != 0)
        return order < 0;
    int32_t offset = builder->plan->offset_column;
    if (holder.batch == challenger.batch || offset < 0)
        return true;
    // the same key came through two Kafka partitions
    return mor_vector_i64(&a->columns[offset], holder.row) <=
           mor_vector_i64(&b->columns[offset], challenger.row);
}

static struct mor_hash128 key_of(const struct builder *builder, struct mor_row_ref ref)
{
    return builder->parts[ref.batch].batch->keys[ref.row];
}

// Counts what a row does to its key, as if it were applied alone. `holder` NULL: first of its key.
static void count_outcome(const struct builder *builder, struct group *group, bool existed,
                          const struct mor_row_ref *holder, struct mor_row_ref ref)
{
    if (is_tombstone(builder, ref))
        return; // counted by count_tombstone
    if (is_delete(builder, ref))
        group->outcomes.deleted++;
    else if (holder == NULL ? existed
                            : !is_delete(builder, *holder) || !replaces(builder, *holder, ref))
        group->outcomes.updated++;
    else
        group->outcomes.inserted++;
}

// Leaves one row per key in group->refs[0 .. row_count).
static void precombine(const struct builder *builder, struct group *group, bool existed)
{
    size_t slot_count = 16;
    while (slot_count < group->row_count * 2)
        slot_count *= 2;
    uint32_t *slots = mor_calloc(slot_count, sizeof *slots);
    mor_budget_take(builder->changes->budget, slot_count * sizeof *slots);
    size_t mask = slot_count - 1;
    size_t winners = 0;
    for (size_t i = 0; i < group->row_count; i++) {
        struct mor_row_ref ref = group->refs[i];
        struct mor_hash128 key = key_of(builder, ref);
        size_t slot = key.low & mask;
        struct mor_row_ref *holder = NULL;
        for (; slots[slot] != 0; slot = (slot + 1) & mask) {
            struct mor_row_ref *candidate = &group->refs[slots[slot] - 1];
            struct mor_hash128 other = key_of(builder, *candidate);
            if (other.low == key.low && other.high == key.high) {
                holder = candidate;
                break;
            }
        }
        count_outcome(builder, group, existed, holder, ref);
        if (holder == NULL) {
            group->refs[winners] = ref;
            slots[slot] = (uint32_t)++winners;
        } else if (replaces(builder, *holder, ref)) {
            *holder = ref;
        }
    }
    group->row_count = winners;
    free(slots);
    mor_budget_give(builder->changes->budget, slot_count * sizeof *slots);
}

// Upserts to the front, deletes to the back of the group's refs.
static void split_deletes(const struct builder *builder, const struct group *group,
                          struct mor_change_group *change)
{
    size_t upserts = 0;
    size_t end = group->row_count;
    while (upserts < end) {
        if (!is_delete(builder, group->refs[upserts])) {
            upserts++;
            continue;
        }
        struct mor_row_ref swapped = group->refs[upserts];
        group->refs[upserts] = group->refs[--end];
        group->refs[end] = swapped;
    }
    *change = (struct mor_change_group){.partition = group->partition,
                                        .bucket = group->bucket,
                                        .upserts = group->refs,
                                        .upsert_count = upserts,
                                        .deletes = group->refs + upserts,
                                        .delete_count = group->row_count - upserts};
}

static enum mor_status finish_group(void *context, size_t index, struct mor_error *err)
{
    (void)err;
    struct builder *builder = context;
    struct group *group = group_at(builder, index);
    struct mor_change_group *change = &builder->changes->set.groups[index];
    if (!builder->plan->keyed) {
        group->outcomes.inserted = (int64_t)group->row_count;
        split_deletes(builder, group, change);
        return MOR_OK;
    }
    bool existed = mor_table_has_group(builder->table, group->partition, group->bucket);
    precombine(builder, group, existed);
    split_deletes(builder, group, change);
    if (!existed)
        change->delete_count = 0; // nothing there to delete
    return MOR_OK;
}

// Groups that ended up without rows are left out.
static void drop_empty_groups(struct mor_change_set *set)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->group_count; i++)
        if (set->groups[i].upsert_count + set->groups[i].delete_count > 0)
            set->groups[kept++] = set->groups[i];
    set->group_count = kept;
}

enum mor_status mor_changes_build(struct mor_table *table, const struct mor_lane_plan *plan,
                                  int32_t ordering_column, const struct mor_batch_part *parts,
                                  size_t part_count, struct mor_crew *crew,
                                  struct mor_changes *ret_changes, struct mor_error *err)
{
    struct mor_changes *changes = ret_changes;
    *changes = (struct mor_changes){.budget = plan->budget};
    mor_arena_init(&changes->arena, 0, plan->budget);
    struct builder builder = {.table = table,
                              .plan = plan,
                              .ordering_column = ordering_column,
                              .parts = parts,
                              .part_count = part_count,
                              .changes = changes};
    builder.group_of_local = mor_calloc(part_count, sizeof *builder.group_of_local);
    builder.local_count = mor_calloc(part_count, sizeof *builder.local_count);
    for_each_row(&builder, discover_row);
    for_each_row(&builder, count_tombstone);
    place_rows(&builder);

    changes->batches = mor_arena_calloc(&changes->arena, part_count, sizeof *changes->batches);
    for (size_t i = 0; i < part_count; i++) {
        mor_lane_batch_refresh_view(parts[i].batch);
        changes->batches[i] = &parts[i].batch->view;
    }
    size_t group_count = builder.group_of_name.count;
    changes->set = (struct mor_change_set){
        .batches = changes->batches,
        .batch_count = part_count,
        .groups = mor_arena_calloc(&changes->arena, group_count, sizeof *changes->set.groups),
        .group_count = group_count};
    enum mor_status status = mor_crew_run(crew, group_count, finish_group, &builder, err);
    for (size_t i = 0; i < group_count; i++)
        mor_outcomes_add(&changes->outcomes, &group_at(&builder, i)->outcomes);
    drop_empty_groups(&changes->set);

    mor_map_done(&builder.group_of_name);
    mor_map_done(&builder.bucket_of_name);
    for (size_t i = 0; i < part_count; i++)
        free(builder.group_of_local[i]);
    free(builder.group_of_local);
    free(builder.local_count);
    if (status != MOR_OK)
        mor_changes_done(changes);
    return status;
}

void mor_changes_done(struct mor_changes *changes)
{
    mor_budget_give(changes->budget, changes->ref_count * sizeof *changes->refs);
    free(changes->refs);
    changes->refs = NULL;
    changes->ref_count = 0;
    mor_arena_done(&changes->arena);
}
