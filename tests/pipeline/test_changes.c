#include "changes_fixture.h"

#define KEYS 40

static int64_t cell(const struct fixture *fixture, struct mor_row_ref ref, int column)
{
    return mor_vector_i64(&fixture->batches[ref.batch].rows->columns[column], ref.row);
}

static void the_highest_version_wins_and_ties_go_to_the_later_offset(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, false, false);
    uint64_t random = 7;
    struct {
        int64_t version, offset;
        bool alive, seen;
    } model[KEYS] = {0};
    int64_t inserted = 0, updated = 0, deleted = 0;
    for (int64_t offset = 0; offset < 3000; offset++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t id = (int64_t)(random >> 33) % KEYS, version = (int64_t)(random >> 50) % 20;
        bool remove = (random >> 20) % 10 == 0;
        add_row(&fixture.batches[0], id, version, "x", offset, remove ? ROW_DELETE : 0);
        bool older = model[id].seen && version < model[id].version;
        if (remove)
            deleted++;
        else if (older || model[id].alive)
            updated++;
        else
            inserted++;
        if (older)
            continue;
        model[id].alive = !remove;
        model[id].seen = true;
        model[id].version = version;
        model[id].offset = offset;
    }
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    size_t alive = 0, found = 0;
    for (int i = 0; i < KEYS; i++)
        alive += model[i].alive;
    for (size_t g = 0; g < changes.set.group_count; g++) {
        const struct mor_change_group *group = &changes.set.groups[g];
        assert_int_equal(group->delete_count, 0); // the table is new: nothing to delete
        for (size_t i = 0; i < group->upsert_count; i++, found++) {
            int64_t id = cell(&fixture, group->upserts[i], ID);
            assert_true(model[id].alive);
            assert_int_equal(cell(&fixture, group->upserts[i], VERSION), model[id].version);
            assert_int_equal(cell(&fixture, group->upserts[i], KAFKA_OFFSET), model[id].offset);
        }
    }
    assert_int_equal(found, alive);
    assert_int_equal(changes.outcomes.inserted, inserted);
    assert_int_equal(changes.outcomes.updated, updated);
    assert_int_equal(changes.outcomes.deleted, deleted);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void a_tombstone_reaches_every_partition_that_may_hold_its_key(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true, false);
    static const char *const regions[] = {"north", "south", "west"};
    for (int region = 0; region < 3; region++)
        add_row(&fixture.batches[0], 5, 1, regions[region], region, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 3);
    MOR_AUTO_BUFFER property = {0};
    char version[64];
    write_changes(&fixture, &changes, &property, version);
    mor_changes_done(&changes);
    next_commit(&fixture);

    add_row(&fixture.batches[0], 5, 0, NULL, 10, ROW_TOMBSTONE | ROW_DELETE);
    add_row(&fixture.batches[0], 5, 9, "east", 11, 0); // inserted again, elsewhere
    add_row(&fixture.batches[1], 6, 1, "east", 12, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    changes = build(&fixture);
    size_t deletes = 0, upserts = 0;
    for (size_t g = 0; g < changes.set.group_count; g++) {
        deletes += changes.set.groups[g].delete_count;
        upserts += changes.set.groups[g].upsert_count;
        if (strcmp(changes.set.groups[g].partition, "region=east") != 0)
            assert_int_equal(changes.set.groups[g].delete_count, 1);
    }
    assert_int_equal(deletes, 3);
    assert_int_equal(upserts, 2);
    assert_int_equal(changes.outcomes.deleted, 1); // one record, however many files it reaches
    assert_int_equal(changes.outcomes.inserted, 2);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void runs_that_are_not_taken_leave_no_trace(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, false, false);
    add_row(&fixture.batches[0], 1, 1, "x", 0, 0);
    add_row(&fixture.batches[0], 2, 1, "x", 1, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_lane_batch *batch = &fixture.batches[0];
    batch->runs[0].row_count = 1;
    batch->runs[1] = (struct mor_run){.row_first = 1, .row_count = 1};
    batch->run_count = 2;
    fixture.take[0][0] = false;
    fixture.take[0][1] = true;
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 1);
    assert_int_equal(changes.set.groups[0].upsert_count, 1);
    assert_int_equal(cell(&fixture, changes.set.groups[0].upserts[0], ID), 2);
    assert_int_equal(changes.outcomes.inserted, 1);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void append_only_rows_keep_every_record_a_group_per_lane(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, false, false, false);
    for (int i = 0; i < 100; i++)
        add_row(&fixture.batches[i % 2], 1, 1, "x", i, 0);
    close_batch(&fixture, 0);
    close_batch(&fixture, 1);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 2);
    assert_int_equal(changes.set.groups[0].upsert_count, 50);
    assert_int_equal(changes.set.groups[1].upsert_count, 50);
    assert_int_equal(changes.outcomes.inserted, 100);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

// ---- with the key index -------------------------------------------------------------------------

// What a key is known to be, in the simplest words.
struct known {
    bool live, measured;
    char region;
    int64_t version, offset;
};

// One thing that happens to a key.
struct event {
    uint8_t flags;
    int64_t version;
    char region;
};

enum effect { INSERTED, UPDATED, DELETED };

static enum effect happen(struct known *known, const struct event *event, int64_t offset)
{
    if ((event->flags & ROW_TOMBSTONE) != 0) {
        known->live = false;
        return DELETED;
    }
    bool removes = (event->flags & ROW_DELETE) != 0;
    bool older = known->measured && event->version < known->version;
    enum effect effect = removes ? DELETED : older || known->live ? UPDATED : INSERTED;
    if (older)
        return effect;
    known->live = !removes;
    known->measured = true;
    known->region = event->region;
    known->version = event->version;
    known->offset = offset;
    return effect;
}

static void add_event(struct mor_lane_batch *batch, int64_t id, const struct event *event,
                      int64_t offset)
{
    const char region[] = {event->region, '\0'};
    add_row(batch, id, event->version, region, offset, event->flags);
}

// What a scan has found of the keys of a model.
struct found {
    const struct known *model;
    size_t count, rows;
};

static void see_known(void *context, int64_t id, int64_t version, const char *region,
                      int64_t offset)
{
    struct found *found = context;
    assert_true(id >= 0 && (size_t)id < found->count);
    const struct known *known = &found->model[id];
    if (!known->live || known->version != version || known->region != region[0] ||
        known->offset != offset)
        fail_msg("row %lld, version %lld, region %s, offset %lld; wanted: %s, version %lld, region "
                 "%c, offset %lld",
                 (long long)id, (long long)version, region, (long long)offset,
                 known->live ? "a row" : "none", (long long)known->version, known->region,
                 (long long)known->offset);
    found->rows++;
}

static void check_table(const struct fixture *fixture, const struct known *model, size_t count)
{
    struct found found = {.model = model, .count = count};
    scan(fixture, see_known, &found);
    size_t live = 0;
    for (size_t i = 0; i < count; i++)
        live += model[i].live;
    assert_int_equal(found.rows, live);
}

static void check_index(const struct fixture *fixture, const struct known *model, size_t count)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_lane_batch *batch = (struct mor_lane_batch *)&fixture->batches[0];
    for (size_t i = 0; i < count; i++)
        add_row(batch, (int64_t)i, 1, "A", 0, 0);
    MOR_AUTO_FREE uint32_t *groups = mor_calloc(count, sizeof *groups);
    MOR_AUTO_FREE struct mor_hash128 *keys = mor_calloc(count, sizeof *keys);
    MOR_AUTO_FREE struct mor_state_entry *entries = mor_calloc(count, sizeof *entries);
    mor_router_route(batch->router, batch->rows, 0, count, NULL, groups, keys);
    assert_ok(mor_state_lookup(fixture->state, keys, count, entries, &err));
    mor_batch_reset(batch->rows);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].location != MOR_STATE_NOWHERE, model[i].live);
        assert_true(entries[i].ordering ==
                    (model[i].measured ? (uint64_t)model[i].version ^ UINT64_C(1) << 63 : 0));
        if (!model[i].live)
            continue;
        const char *path = mor_state_name_text(fixture->state, (uint32_t)entries[i].location);
        char wanted[] = "region=?";
        wanted[7] = model[i].region;
        assert_string_equal(path, wanted);
    }
}

#define VERSION_BEFORE 5
#define EVENTS         13 // older, equal and newer upserts and deletes in two regions, a tombstone

static struct event event_of(size_t number)
{
    if (number == EVENTS - 1)
        return (struct event){ROW_TOMBSTONE | ROW_DELETE, 0, 'A'};
    return (struct event){number >= 6 ? ROW_DELETE : 0, VERSION_BEFORE - 1 + (int64_t)(number % 3),
                          number / 3 % 2 == 0 ? 'A' : 'B'};
}

// Keys of which nothing is known, that have a row, that have been deleted by a row and by a
// tombstone.
#define BEFORES 4

static void every_sequence_of_three_events_gives_what_its_model_says(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    size_t count = (size_t)BEFORES * EVENTS * EVENTS * EVENTS;
    MOR_AUTO_FREE struct known *model = mor_calloc(count, sizeof *model);
    int64_t offset = 0;
    const struct event before = {0, VERSION_BEFORE, 'A'};
    const struct event removed = {ROW_DELETE, VERSION_BEFORE, 'A'};
    const struct event buried = {ROW_TOMBSTONE | ROW_DELETE, 0, 'A'};
    for (size_t i = 0; i < count; i++) {
        if (i % BEFORES == 0)
            continue;
        add_event(&fixture.batches[0], (int64_t)i, &before, ++offset);
        (void)happen(&model[i], &before, offset);
    }
    (void)commit(&fixture);
    for (size_t i = 0; i < count; i++) {
        if (i % BEFORES < 2)
            continue;
        const struct event *event = i % BEFORES == 2 ? &removed : &buried;
        add_event(&fixture.batches[0], (int64_t)i, event, ++offset);
        (void)happen(&model[i], event, offset);
    }
    (void)commit(&fixture);
    check_table(&fixture, model, count);
    check_index(&fixture, model, count);

    int64_t effects[3] = {0};
    for (size_t step = 0; step < 3; step++)
        for (size_t i = 0; i < count; i++) {
            size_t number = i / BEFORES;
            for (size_t k = 0; k < step; k++)
                number /= EVENTS;
            struct event event = event_of(number % EVENTS);
            add_event(&fixture.batches[0], (int64_t)i, &event, ++offset);
            effects[happen(&model[i], &event, offset)]++;
        }
    struct mor_outcomes outcomes = commit(&fixture);
    assert_int_equal(outcomes.inserted, effects[INSERTED]);
    assert_int_equal(outcomes.updated, effects[UPDATED]);
    assert_int_equal(outcomes.deleted, effects[DELETED]);
    check_table(&fixture, model, count);
    check_index(&fixture, model, count);
    tear_down(&fixture);
}

static void random_events_over_many_commits_give_what_their_model_says(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    struct known model[KEYS] = {0};
    uint64_t random = 11;
    int64_t offset = 0;
    for (int round = 0; round < 40; round++) {
        int64_t effects[3] = {0};
        for (int i = 0; i < 60; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            int64_t id = (int64_t)(random >> 33) % KEYS;
            unsigned kind = (unsigned)(random >> 20) % 16;
            const struct event event = {.flags = kind == 0  ? ROW_TOMBSTONE | ROW_DELETE
                                                 : kind < 4 ? ROW_DELETE
                                                            : 0,
                                        .version = round + (int64_t)(random >> 50) % 9,
                                        .region = (char)('A' + (random >> 45) % 4)};
            add_event(&fixture.batches[id % LANES], id, &event, ++offset);
            effects[happen(&model[id], &event, offset)]++;
        }
        struct mor_outcomes outcomes = commit(&fixture);
        assert_int_equal(outcomes.inserted, effects[INSERTED]);
        assert_int_equal(outcomes.updated, effects[UPDATED]);
        assert_int_equal(outcomes.deleted, effects[DELETED]);
        if (round % 5 == 4) {
            check_table(&fixture, model, KEYS);
            check_index(&fixture, model, KEYS);
        }
        if (round % 10 == 9) {
            mor_state_free(fixture.state);
            open_state(&fixture);
        }
    }
    tear_down(&fixture);
}

static void what_loses_or_changes_nothing_is_not_written(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    for (int64_t id = 0; id < 20; id++)
        add_row(&fixture.batches[0], id, 5, "A", id, 0);
    (void)commit(&fixture);
    for (int64_t id = 0; id < 5; id++)
        add_row(&fixture.batches[0], id, 4, "B", 20 + id, 0); // late
    for (int64_t id = 5; id < 10; id++)
        add_row(&fixture.batches[0], id, 4, "A", 20 + id, ROW_DELETE); // late
    for (int64_t id = 20; id < 30; id++)                               // of keys that have no row
        add_row(&fixture.batches[0], id, 0, NULL, 20 + id, ROW_TOMBSTONE | ROW_DELETE);
    for (int i = 0; i < LANES; i++)
        close_batch(&fixture, i);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 0);
    assert_int_equal(changes.key_changes.size_bytes, 0);
    assert_int_equal(changes.outcomes.updated, 5);
    assert_int_equal(changes.outcomes.deleted, 15);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void a_key_that_moves_is_deleted_where_it_was(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    add_row(&fixture.batches[0], 7, 1, "A", 0, 0);
    (void)commit(&fixture);
    add_row(&fixture.batches[0], 7, 2, "B", 1, 0);
    add_row(&fixture.batches[1], 7, 3, "C", 0, 0); // through another Kafka partition
    for (int i = 0; i < LANES; i++)
        close_batch(&fixture, i);
    struct mor_changes changes = build(&fixture);
    assert_int_equal(changes.set.group_count, 2);
    for (size_t g = 0; g < 2; g++) {
        const struct mor_change_group *group = &changes.set.groups[g];
        bool is_new = strcmp(group->partition, "region=C") == 0;
        assert_int_equal(group->upsert_count, is_new);
        assert_int_equal(group->delete_count, !is_new);
        if (!is_new)
            assert_string_equal(group->partition, "region=A");
    }
    assert_int_equal(changes.outcomes.updated, 2);
    mor_changes_done(&changes);
    tear_down(&fixture);
}

static void what_others_changed_meanwhile_counts(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture fixture;
    set_up(&fixture, true, true, true);
    add_row(&fixture.batches[0], 7, 1, "A", 0, 0);
    (void)commit(&fixture);
    add_row(&fixture.batches[0], 7, 2, "A", 1, 0);
    for (int i = 0; i < LANES; i++)
        close_batch(&fixture, i);
    struct mor_key_overlay overlay = {0};
    const struct mor_key_change change = {fixture.batches[0].keys[0],
                                          {MOR_STATE_NOWHERE, (uint64_t)9 ^ UINT64_C(1) << 63}};
    mor_key_overlay_put(&overlay, &change);
    const struct mor_known_keys known = {fixture.state, &overlay};
    const struct mor_changes_options options = {.table = fixture.table,
                                                .plan = &fixture.plan,
                                                .ordering_column = VERSION,
                                                .known = &known,
                                                .crew = fixture.crew};
    struct mor_changes changes;
    assert_ok(mor_changes_build(&options, fixture.parts, LANES, &changes, &err));
    assert_int_equal(changes.set.group_count, 0); // it was deleted by something newer
    mor_changes_done(&changes);
    mor_key_overlay_done(&overlay);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_version_wins_and_ties_go_to_the_later_offset),
        cmocka_unit_test(a_tombstone_reaches_every_partition_that_may_hold_its_key),
        cmocka_unit_test(runs_that_are_not_taken_leave_no_trace),
        cmocka_unit_test(append_only_rows_keep_every_record_a_group_per_lane),
        cmocka_unit_test(every_sequence_of_three_events_gives_what_its_model_says),
        cmocka_unit_test(random_events_over_many_commits_give_what_their_model_says),
        cmocka_unit_test(what_loses_or_changes_nothing_is_not_written),
        cmocka_unit_test(a_key_that_moves_is_deleted_where_it_was),
        cmocka_unit_test(what_others_changed_meanwhile_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
