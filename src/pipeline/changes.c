#include "changes.h"

#include <assert.h>

#include "moraine/base/map.h"

// Rows that are looked at together, by one thread: of a bucket when the key index says where a key
// is; of a file group when there is no index; of a file group and a lane when there are no keys.
struct pool {
    const char *partition; // of the file group; NULL = all of its bucket
    int32_t bucket;
    size_t row_count;
    struct mor_row_ref *rows; // in the order of their lanes
    struct pool *next_of_bucket;
    // results
    struct mor_change_group *groups;
    size_t group_count;
    struct mor_row_ref *refs; // of the groups
    size_t ref_count;
    struct mor_buffer key_changes;
    struct mor_buffer removals; // uint64_t[]: places of rows that go
    struct mor_outcomes outcomes;
    int64_t index_hits, index_misses;
};

// A group id of a lane's router. `place` is the number of a table partition: that of the local
// state, of `partitions` when rows have places, or 0 for the only one of a pool.
struct local_group {
    uint32_t pool; // index + 1, 0 = not known yet
    uint32_t place;
};

struct builder {
    const struct mor_changes_options *options;
    struct mor_contest_rules rules;
    const struct mor_batch_part *parts;
    size_t part_count;
    struct mor_changes *changes;
    struct mor_map pool_of_name;       // what makes rows belong together -> struct pool
    struct mor_map bucket_of_name;     // bucket -> first struct pool of it
    struct local_group **local_groups; // [part][the router's id]
    size_t *local_counts;
    bool by_place;             // rows of the table have places
    struct mor_map partitions; // of the commit's rows; only by place
};

static struct pool *pool_at(const struct builder *builder, size_t index)
{
    assert(index < builder->pool_of_name.count);
    return builder->pool_of_name.entries[index].value.pointer;
}

// ---- pools --------------------------------------------------------------------------------------

// Index of the pool of a row that lies in `partition` (NULL = anywhere), made when it is new.
static size_t find_pool(struct builder *builder, const char *partition, int32_t bucket, size_t part)
{
    bool keyed = builder->options->plan->keyed;
    if (builder->options->known != NULL)
        partition = NULL;
    MOR_AUTO_BUFFER name = {0};
    mor_buffer_append_le32(&name, keyed ? (uint32_t)bucket : (uint32_t)part);
    if (partition != NULL)
        mor_buffer_append(&name, partition, strlen(partition) + 1);
    bool added;
    struct mor_map_entry *entry =
        mor_map_put(&builder->pool_of_name, name.data, name.size_bytes, &added);
    if (added) {
        struct mor_arena *arena = &builder->changes->arena;
        struct pool *pool = mor_arena_calloc(arena, 1, sizeof *pool);
        pool->partition = partition != NULL ? mor_arena_strdup(arena, partition) : NULL;
        pool->bucket = bucket;
        pool->key_changes.budget = builder->changes->budget;
        pool->removals.budget = builder->changes->budget;
        struct mor_map_entry *first =
            mor_map_put(&builder->bucket_of_name, &bucket, sizeof bucket, NULL);
        pool->next_of_bucket = first->value.pointer;
        first->value.pointer = pool;
        entry->value.pointer = pool;
    }
    return (size_t)(entry - builder->pool_of_name.entries);
}

static void reserve_local(struct builder *builder, size_t part, uint32_t local)
{
    size_t count = builder->local_counts[part];
    if (local < count)
        return;
    size_t grown = count * 2 > local ? count * 2 : (size_t)local + 64;
    struct local_group *groups =
        mor_realloc(builder->local_groups[part], grown * sizeof(struct local_group));
    memset(groups + count, 0, (grown - count) * sizeof *groups);
    builder->local_groups[part] = groups;
    builder->local_counts[part] = grown;
}

static uint32_t number_of_partition(struct builder *builder, const char *partition)
{
    if (builder->by_place) { // the state's numbers are files mostly, and partitions far apart
        bool added;
        struct mor_map_entry *entry = mor_map_put_text(&builder->partitions, partition, &added);
        if (added)
            entry->value.pointer = mor_arena_strdup(&builder->changes->arena, partition);
        return (uint32_t)(entry - builder->partitions.entries);
    }
    const struct mor_known_keys *known = builder->options->known;
    return known != NULL ? mor_state_name_number(known->state, partition) : 0;
}

// The group of a row that knows its partition.
static struct local_group *local_group_of(struct builder *builder, size_t part, uint32_t local)
{
    reserve_local(builder, part, local);
    struct local_group *group = &builder->local_groups[part][local];
    if (group->pool != 0)
        return group;
    const char *partition;
    int32_t bucket;
    mor_router_group(builder->parts[part].batch->router, local, &partition, &bucket);
    group->place = number_of_partition(builder, partition);
    group->pool = (uint32_t)find_pool(builder, partition, bucket, part) + 1;
    return group;
}

// The pools that a tombstone reaches: a list through next_of_bucket, NULL when there are none.
static struct pool *pools_of_tombstone(struct builder *builder, uint32_t local)
{
    int32_t bucket = (int32_t)(local & ~MOR_GROUP_ANY_PARTITION);
    const struct mor_map_entry *entry =
        mor_map_find(&builder->bucket_of_name, &bucket, sizeof bucket);
    return entry != NULL ? entry->value.pointer : NULL;
}

// Makes the pools that tombstones of a bucket reach besides those that rows of the commit make.
static void add_pools_of_bucket(struct builder *builder, int32_t bucket)
{
    if (builder->options->known != NULL) {
        (void)find_pool(builder, NULL, bucket, 0);
        return;
    }
    const char **partitions;
    size_t count;
    mor_table_partitions_with_bucket(builder->options->table, bucket, &builder->changes->arena,
                                     &partitions, &count);
    for (size_t i = 0; i < count; i++)
        (void)find_pool(builder, partitions[i], bucket, 0);
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

// First pass: every pool becomes known.
static void discover_row(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    if ((builder->parts[part].batch->flags[row] & ROW_TOMBSTONE) != 0)
        builder->changes->outcomes.deleted++; // one record, however many pools it reaches
    if ((local & MOR_GROUP_ANY_PARTITION) == 0) {
        pool_at(builder, local_group_of(builder, part, local)->pool - 1)->row_count++;
        return;
    }
    bool added;
    uint64_t marker = (uint64_t)local << 32; // kept apart from bucket numbers by its size
    (void)mor_map_put(&builder->bucket_of_name, &marker, sizeof marker, &added);
    if (added)
        add_pools_of_bucket(builder, (int32_t)(local & ~MOR_GROUP_ANY_PARTITION));
}

static void count_tombstone(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    (void)part;
    (void)row;
    if ((local & MOR_GROUP_ANY_PARTITION) == 0)
        return;
    for (struct pool *pool = pools_of_tombstone(builder, local); pool != NULL;
         pool = pool->next_of_bucket)
        pool->row_count++;
}

static void place_row(struct builder *builder, size_t part, size_t row, uint32_t local)
{
    struct mor_row_ref ref = {(uint32_t)part, (uint32_t)row};
    if ((local & MOR_GROUP_ANY_PARTITION) == 0) {
        struct pool *pool = pool_at(builder, builder->local_groups[part][local].pool - 1);
        pool->rows[pool->row_count++] = ref;
        return;
    }
    for (struct pool *pool = pools_of_tombstone(builder, local); pool != NULL;
         pool = pool->next_of_bucket)
        pool->rows[pool->row_count++] = ref;
}

// Gives every pool its piece of one array and fills it.
static struct mor_row_ref *place_rows(struct builder *builder, size_t *ret_total)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < builder->pool_of_name.count; i++)
        total += pool_at(builder, i)->row_count;
    struct mor_row_ref *rows = mor_alloc(total * sizeof *rows);
    mor_budget_take(builder->changes->budget, total * sizeof *rows);
    for (size_t i = 0; i < builder->pool_of_name.count; i++) {
        struct pool *pool = pool_at(builder, i);
        pool->rows = rows + at;
        at += pool->row_count;
        pool->row_count = 0;
    }
    for_each_row(builder, place_row);
    *ret_total = total;
    return rows;
}

// ---- groups of one pool -------------------------------------------------------------------------

// Where the upsert and the delete of a key go; MOR_STATE_NOWHERE = there is none.
struct verdict {
    uint64_t upsert, remove;
};

static struct verdict judge(const struct builder *builder, const struct mor_contest *contest)
{
    struct verdict verdict = {MOR_STATE_NOWHERE, MOR_STATE_NOWHERE};
    if (!contest->entered)
        return verdict;
    if (contest->live) {
        size_t part = contest->winner.batch;
        uint32_t local = builder->parts[part].batch->groups[contest->winner.row];
        verdict.upsert = builder->local_groups[part][local].place;
    }
    // a row goes from its place also when its key stays in the table partition
    if (builder->by_place || contest->prior.location != verdict.upsert)
        verdict.remove = contest->prior.location;
    return verdict;
}

// The groups of a pool by the number of their table partition.
struct group_list {
    struct pool *pool;
    uint32_t *group_of_place; // index + 1
    size_t place_count, capacity;
};

static struct mor_change_group *group_of_place(struct group_list *list, uint64_t place)
{
    if (place >= list->place_count) {
        size_t grown = (size_t)place * 2 + 16;
        list->group_of_place = mor_realloc(list->group_of_place, grown * sizeof(uint32_t));
        memset(list->group_of_place + list->place_count, 0,
               (grown - list->place_count) * sizeof(uint32_t));
        list->place_count = grown;
    }
    struct pool *pool = list->pool;
    if (list->group_of_place[place] == 0) {
        if (pool->group_count == list->capacity) {
            list->capacity = list->capacity > 0 ? list->capacity * 2 : 4;
            pool->groups = mor_realloc(pool->groups, list->capacity * sizeof *pool->groups);
        }
        pool->groups[pool->group_count++] = (struct mor_change_group){.bucket = pool->bucket};
        list->group_of_place[place] = (uint32_t)pool->group_count;
    }
    return &pool->groups[list->group_of_place[place] - 1];
}

// Counts what goes into each group, and gives it its piece of the pool's refs.
static void size_groups(const struct builder *builder, struct pool *pool,
                        const struct mor_ring *ring, struct group_list *list)
{
    for (size_t i = 0; i < ring->count; i++) {
        struct verdict verdict = judge(builder, &ring->contests[i]);
        if (verdict.upsert != MOR_STATE_NOWHERE)
            group_of_place(list, verdict.upsert)->upsert_count++;
        if (verdict.remove != MOR_STATE_NOWHERE && !builder->by_place)
            group_of_place(list, verdict.remove)->delete_count++;
    }
    for (size_t i = 0; i < pool->group_count; i++)
        pool->ref_count += pool->groups[i].upsert_count + pool->groups[i].delete_count;
    pool->refs = mor_alloc(pool->ref_count * sizeof *pool->refs);
    mor_budget_take(builder->changes->budget, pool->ref_count * sizeof *pool->refs);
    size_t at = 0;
    for (size_t i = 0; i < pool->group_count; i++) {
        struct mor_change_group *group = &pool->groups[i];
        group->upserts = pool->refs + at;
        group->deletes = group->upserts + group->upsert_count;
        at += group->upsert_count + group->delete_count;
        group->upsert_count = group->delete_count = 0;
    }
}

static void add_ref(struct mor_row_ref *refs, size_t *count, struct mor_row_ref ref)
{
    assert(refs != NULL); // size_groups has counted it
    refs[(*count)++] = ref;
}

static void fill_groups(const struct builder *builder, const struct mor_ring *ring,
                        struct group_list *list)
{
    for (size_t i = 0; i < ring->count; i++) {
        const struct mor_contest *contest = &ring->contests[i];
        struct verdict verdict = judge(builder, contest);
        if (verdict.upsert != MOR_STATE_NOWHERE) {
            struct mor_change_group *group = group_of_place(list, verdict.upsert);
            add_ref(group->upserts, &group->upsert_count, contest->winner);
        }
        if (verdict.remove != MOR_STATE_NOWHERE) {
            struct mor_change_group *group = group_of_place(list, verdict.remove);
            add_ref(group->deletes, &group->delete_count, contest->winner);
        }
    }
}

// The same where rows have places: rows go from there, and the index learns the new ones.
static void fill_by_place(const struct builder *builder, struct pool *pool,
                          const struct mor_ring *ring, struct group_list *list)
{
    for (size_t i = 0; i < ring->count; i++) {
        const struct mor_contest *contest = &ring->contests[i];
        struct verdict verdict = judge(builder, contest);
        struct mor_key_change change = {contest->key, {MOR_STATE_NOWHERE, contest->ordering}};
        if (verdict.upsert != MOR_STATE_NOWHERE) {
            struct mor_change_group *group = group_of_place(list, verdict.upsert);
            change.entry.location = (uint64_t)(group - pool->groups) << 32 | group->upsert_count;
            add_ref(group->upserts, &group->upsert_count, contest->winner);
        }
        if (verdict.remove != MOR_STATE_NOWHERE)
            mor_buffer_append(&pool->removals, &verdict.remove, sizeof verdict.remove);
        if (contest->entered &&
            (verdict.upsert != MOR_STATE_NOWHERE || verdict.remove != MOR_STATE_NOWHERE ||
             contest->ordering != contest->prior.ordering))
            mor_buffer_append(&pool->key_changes, &change, sizeof change);
    }
}

// Groups get their partition; a file group that does not exist has nothing to delete.
static void name_groups(const struct builder *builder, struct pool *pool,
                        const struct group_list *list)
{
    const struct mor_known_keys *known = builder->options->known;
    for (size_t place = 0; place < list->place_count; place++) {
        if (list->group_of_place[place] == 0)
            continue;
        struct mor_change_group *group = &pool->groups[list->group_of_place[place] - 1];
        if (builder->by_place)
            group->partition = builder->partitions.entries[place].value.pointer;
        else
            group->partition = known != NULL ? mor_state_name_text(known->state, (uint32_t)place)
                                             : pool->partition;
        if (group->delete_count > 0 &&
            !mor_table_has_group(builder->options->table, group->partition, group->bucket))
            group->delete_count = 0;
    }
}

// What the index knows afterwards, where it differs from before.
static void note_key_changes(const struct builder *builder, struct pool *pool,
                             const struct mor_ring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        const struct mor_contest *contest = &ring->contests[i];
        if (!contest->entered)
            continue;
        struct mor_key_change change = {contest->key,
                                        {judge(builder, contest).upsert, contest->ordering}};
        if (change.entry.location != contest->prior.location ||
            change.entry.ordering != contest->prior.ordering)
            mor_buffer_append(&pool->key_changes, &change, sizeof change);
    }
}

static enum mor_status settle_keys(const struct builder *builder, struct pool *pool,
                                   struct mor_error *err)
{
    bool has_rows = builder->options->known == NULL &&
                    mor_table_has_group(builder->options->table, pool->partition, pool->bucket);
    struct mor_ring ring;
    mor_ring_init(&ring, &builder->rules,
                  (struct mor_state_entry){has_rows ? 0 : MOR_STATE_NOWHERE, 0}, pool->row_count,
                  builder->changes->budget);
    enum mor_status status = mor_ring_add(&ring, pool->rows, pool->row_count, err);
    if (status == MOR_OK) {
        struct group_list list = {.pool = pool};
        size_groups(builder, pool, &ring, &list);
        if (builder->by_place)
            fill_by_place(builder, pool, &ring, &list);
        else
            fill_groups(builder, &ring, &list);
        name_groups(builder, pool, &list);
        free(list.group_of_place);
        if (builder->options->known != NULL && !builder->by_place)
            note_key_changes(builder, pool, &ring);
        pool->outcomes = ring.outcomes;
        pool->index_hits = ring.hits;
        pool->index_misses = ring.misses;
    }
    mor_ring_done(&ring);
    return status;
}

// Every row is one of its own.
static void take_all(struct pool *pool)
{
    pool->outcomes.inserted = (int64_t)pool->row_count;
    pool->groups = mor_alloc(sizeof *pool->groups);
    pool->groups[0] = (struct mor_change_group){.partition = pool->partition,
                                                .bucket = pool->bucket,
                                                .upserts = pool->rows,
                                                .upsert_count = pool->row_count};
    pool->group_count = 1;
}

static enum mor_status settle_pool(void *context, size_t index, struct mor_error *err)
{
    struct builder *builder = context;
    struct pool *pool = pool_at(builder, index);
    if (builder->options->plan->keyed)
        return settle_keys(builder, pool, err);
    take_all(pool);
    return MOR_OK;
}

// ---- the whole ----------------------------------------------------------------------------------

static void keep_refs(struct mor_changes *changes, struct mor_row_ref *take_refs, size_t count)
{
    changes->refs[changes->ref_array_count++] = take_refs;
    changes->ref_bytes += count * sizeof *take_refs;
}

// The pool's changes of keys speak of its groups, which are numbered from `group_first` on.
static void gather_key_changes(struct builder *builder, struct pool *pool, size_t group_first)
{
    struct mor_key_change *changes = (struct mor_key_change *)(void *)pool->key_changes.data;
    size_t count = pool->key_changes.size_bytes / sizeof *changes;
    for (size_t i = 0; builder->by_place && i < count; i++)
        if (changes[i].entry.location != MOR_STATE_NOWHERE)
            changes[i].entry.location += (uint64_t)group_first << 32;
    mor_buffer_append(&builder->changes->key_changes, pool->key_changes.data,
                      pool->key_changes.size_bytes);
    mor_buffer_done(&pool->key_changes);
}

// Takes the results of the pools together; groups that ended up without rows are left out.
static void gather(struct builder *builder)
{
    struct mor_changes *changes = builder->changes;
    size_t pool_count = builder->pool_of_name.count, group_count = 0;
    for (size_t i = 0; i < pool_count; i++)
        group_count += pool_at(builder, i)->group_count;
    changes->set.groups =
        mor_arena_calloc(&changes->arena, group_count, sizeof *changes->set.groups);
    for (size_t i = 0; i < pool_count; i++) {
        struct pool *pool = pool_at(builder, i);
        size_t group_first = changes->set.group_count; // with places no group is empty
        for (size_t g = 0; g < pool->group_count; g++)
            if (pool->groups[g].upsert_count + pool->groups[g].delete_count > 0)
                changes->set.groups[changes->set.group_count++] = pool->groups[g];
        mor_outcomes_add(&changes->outcomes, &pool->outcomes);
        gather_key_changes(builder, pool, group_first);
        changes->index_hits += pool->index_hits;
        changes->index_misses += pool->index_misses;
        if (pool->refs != NULL)
            keep_refs(changes, pool->refs, pool->ref_count);
        free(pool->groups);
    }
}

// ---- rows that go from their places -------------------------------------------------------------

// Ascending; bytes that all have in common cost nothing.
static void sort_places(uint64_t *places, size_t count)
{
    MOR_AUTO_FREE uint64_t *other = mor_alloc(count * sizeof *other);
    uint64_t *from = places, *to = other;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++)
            starts[(from[i] >> shift & 0xff) + 1]++;
        if (starts[(from[0] >> shift & 0xff) + 1] == count)
            continue;
        for (size_t i = 0; i < 256; i++)
            starts[i + 1] += starts[i];
        for (size_t i = 0; i < count; i++)
            to[starts[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *kept = from;
        from = to;
        to = kept;
    }
    if (from != places)
        memcpy(places, from, count * sizeof *places);
}

// One removal for each file of the sorted places.
static enum mor_status make_removals(struct builder *builder, const uint64_t *places, size_t count,
                                     struct mor_error *err)
{
    struct mor_changes *changes = builder->changes;
    struct mor_change_set *set = &changes->set;
    size_t file_count = 0;
    for (size_t i = 0; i < count; i++) {
        file_count += i == 0 || places[i] >> 32 != places[i - 1] >> 32;
        if (i > 0 && places[i] == places[i - 1])
            return mor_error_set(
                err, MOR_DATA, "the key index has two keys in one place of '%s'",
                mor_state_name_text(builder->options->known->state, (uint32_t)(places[i] >> 32)));
    }
    uint32_t *positions = mor_arena_alloc(&changes->arena, count * sizeof *positions);
    struct mor_change_removal *removals =
        mor_arena_calloc(&changes->arena, file_count, sizeof *removals);
    for (size_t i = 0; i < count; i++) {
        positions[i] = (uint32_t)places[i];
        if (i == 0 || places[i] >> 32 != places[i - 1] >> 32)
            removals[set->removal_count++] = (struct mor_change_removal){
                .file = mor_state_name_text(builder->options->known->state,
                                            (uint32_t)(places[i] >> 32)),
                .positions = positions + i};
        removals[set->removal_count - 1].count++;
    }
    set->removals = removals;
    return MOR_OK;
}

static enum mor_status gather_removals(struct builder *builder, struct mor_error *err)
{
    MOR_AUTO_BUFFER places = {.budget = builder->changes->budget};
    for (size_t i = 0; i < builder->pool_of_name.count; i++) {
        struct pool *pool = pool_at(builder, i);
        mor_buffer_append(&places, pool->removals.data, pool->removals.size_bytes);
        mor_buffer_done(&pool->removals);
    }
    uint64_t *values = (uint64_t *)(void *)places.data;
    size_t count = places.size_bytes / sizeof *values;
    if (count == 0)
        return MOR_OK;
    sort_places(values, count);
    return make_removals(builder, values, count, err);
}

void mor_changes_resolve(const struct mor_changes *changes, const struct mor_write *write,
                         struct mor_state *state, struct mor_buffer *ret_changes)
{
    size_t count, group_count = changes->set.group_count;
    const struct mor_key_change *provisional = mor_changes_of_keys(changes, &count);
    MOR_AUTO_FREE uint32_t *number_of_group = mor_alloc((group_count + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < group_count; i++) {
        const char *file = mor_write_group_file(write, i);
        assert(file != NULL); // with places every group has rows
        number_of_group[i] = mor_state_name_number(state, file);
    }
    mor_buffer_reserve(ret_changes, count * sizeof *provisional);
    for (size_t i = 0; i < count; i++) {
        struct mor_key_change change = provisional[i];
        uint64_t place = change.entry.location;
        if (place != MOR_STATE_NOWHERE)
            change.entry.location =
                (uint64_t)number_of_group[place >> 32] << 32 | (place & UINT32_MAX);
        mor_buffer_append(ret_changes, &change, sizeof change);
    }
}

static void builder_done(struct builder *builder)
{
    mor_map_done(&builder->partitions);
    mor_map_done(&builder->pool_of_name);
    mor_map_done(&builder->bucket_of_name);
    for (size_t i = 0; i < builder->part_count; i++)
        free(builder->local_groups[i]);
    free(builder->local_groups);
    free(builder->local_counts);
}

static void begin_set(struct mor_changes *changes, const struct mor_batch_part *parts,
                      size_t part_count)
{
    changes->batches = mor_arena_calloc(&changes->arena, part_count, sizeof *changes->batches);
    for (size_t i = 0; i < part_count; i++) {
        mor_lane_batch_refresh_view(parts[i].batch);
        changes->batches[i] = &parts[i].batch->view;
    }
    changes->set = (struct mor_change_set){.batches = changes->batches, .batch_count = part_count};
}

enum mor_status mor_changes_build(const struct mor_changes_options *options,
                                  const struct mor_batch_part *parts, size_t part_count,
                                  struct mor_changes *changes, struct mor_error *err)
{
    struct mor_budget *budget = options->plan->budget;
    *changes = (struct mor_changes){.budget = budget, .key_changes = {.budget = budget}};
    mor_arena_init(&changes->arena, 0, budget);
    struct builder builder = {.options = options,
                              .rules = {.parts = parts,
                                        .ordering_column = options->ordering_column,
                                        .offset_column = options->plan->offset_column,
                                        .known = options->known},
                              .parts = parts,
                              .part_count = part_count,
                              .changes = changes,
                              .by_place =
                                  options->known != NULL && mor_table_has_places(options->table)};
    builder.local_groups = mor_calloc(part_count, sizeof *builder.local_groups);
    builder.local_counts = mor_calloc(part_count, sizeof *builder.local_counts);
    begin_set(changes, parts, part_count);
    for_each_row(&builder, discover_row);
    for_each_row(&builder, count_tombstone);
    size_t row_count, pool_count = builder.pool_of_name.count;
    struct mor_row_ref *rows = place_rows(&builder, &row_count);
    changes->refs = mor_arena_calloc(&changes->arena, pool_count + 1, sizeof *changes->refs);
    enum mor_status status = mor_crew_run(options->crew, pool_count, settle_pool, &builder, err);
    gather(&builder);
    struct mor_error ignored = MOR_ERROR_INIT; // the first error counts
    enum mor_status gathered = gather_removals(&builder, status == MOR_OK ? err : &ignored);
    status = status == MOR_OK ? gathered : status;
    builder_done(&builder);
    keep_refs(changes, rows, row_count); // groups without keys point into it
    if (status != MOR_OK)
        mor_changes_done(changes);
    return status;
}

void mor_changes_done(struct mor_changes *changes)
{
    for (size_t i = 0; i < changes->ref_array_count; i++)
        free(changes->refs[i]);
    mor_budget_give(changes->budget, changes->ref_bytes);
    mor_buffer_done(&changes->key_changes);
    mor_arena_done(&changes->arena);
    *changes = (struct mor_changes){0};
}
