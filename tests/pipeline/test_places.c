// Change sets of a table whose rows have places. Its files are a model here: arrays of rows.
#include "../../src/table/table_format.h"
#include "changes_fixture.h"

#define KEYS      60
#define FILES_MAX 4096
#define ROWS_MAX  400

struct file {
    char name[32];
    struct {
        int64_t id, version, offset;
        char region[8];
        bool live;
    } rows[ROWS_MAX];
    size_t row_count;
};

struct place_fixture {
    struct fixture base;
    struct mor_table_ops ops;
    struct mor_write write;
    struct file *files;
    size_t file_count;
    size_t first_of_commit; // file of its group 0
};

static struct place_fixture *the_fixture; // what the operations of the table work on

static enum mor_status never_called(struct mor_write *write, const struct mor_change_set *changes,
                                    size_t removal_index, struct mor_error *err)
{
    (void)write;
    (void)changes;
    (void)removal_index;
    return mor_error_set(err, MOR_FATAL, "the model removes rows itself");
}

static const char *file_of_group(const struct mor_write *write, size_t group_index)
{
    (void)write;
    return the_fixture->files[the_fixture->first_of_commit + group_index].name;
}

static void set_up_places(struct place_fixture *f)
{
    set_up(&f->base, true, true, true);
    f->ops = *f->base.table->ops;
    f->ops.write_removal = never_called;
    f->ops.group_file = file_of_group;
    f->base.table->ops = &f->ops;
    f->write.table = f->base.table;
    f->files = calloc(FILES_MAX, sizeof *f->files);
    f->file_count = 0;
    the_fixture = f;
}

static void tear_down_places(struct place_fixture *f)
{
    free(f->files);
    tear_down(&f->base);
}

// ---- the model's table --------------------------------------------------------------------------

static void remove_rows(struct place_fixture *f, const struct mor_change_removal *removal)
{
    size_t i = 0;
    while (i < f->file_count && strcmp(f->files[i].name, removal->file) != 0)
        i++;
    assert_true(i < f->file_count);
    assert_true(removal->count > 0);
    for (size_t p = 0; p < removal->count; p++) {
        assert_true(p == 0 || removal->positions[p] > removal->positions[p - 1]);
        assert_true(removal->positions[p] < f->files[i].row_count);
        assert_true(f->files[i].rows[removal->positions[p]].live);
        f->files[i].rows[removal->positions[p]].live = false;
    }
}

static void add_file(struct place_fixture *f, const struct mor_change_group *group)
{
    assert_true(f->file_count < FILES_MAX);
    assert_int_equal(group->delete_count, 0);
    assert_in_range(group->upsert_count, 1, ROWS_MAX);
    struct file *file = &f->files[f->file_count];
    (void)snprintf(file->name, sizeof file->name, "data/%zu.parquet", f->file_count++);
    for (size_t i = 0; i < group->upsert_count; i++) {
        const struct mor_vector *columns = f->base.batches[group->upserts[i].batch].rows->columns;
        size_t row = group->upserts[i].row, size;
        const uint8_t *region = mor_vector_bytes_at(&columns[REGION], row, &size);
        file->rows[i].id = mor_vector_i64(&columns[ID], row);
        file->rows[i].version = mor_vector_i64(&columns[VERSION], row);
        file->rows[i].offset = mor_vector_i64(&columns[KAFKA_OFFSET], row);
        memcpy(file->rows[i].region, region, size);
        file->rows[i].live = true;
        // a group is of one table partition
        assert_memory_equal(group->partition + strlen(group->partition) - size, region, size);
    }
    file->row_count = group->upsert_count;
}

static void apply_keys(struct place_fixture *f, const struct mor_buffer *changes)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_state_batch *batch;
    const struct mor_dedup_correction *corrections;
    size_t count;
    assert_ok(
        mor_state_batch_begin(f->base.state, NULL, 0, NULL, 0, &batch, &corrections, &count, &err));
    assert_ok(mor_key_apply(batch, (const struct mor_key_change *)(const void *)changes->data,
                            changes->size_bytes / sizeof(struct mor_key_change), &err));
    const struct mor_state_mark mark = {.version = "v", .watermark_ms = INT64_MIN};
    assert_ok(mor_state_batch_apply(f->base.state, batch, &mark, &err));
}

static void commit_places(struct place_fixture *f)
{
    for (int i = 0; i < LANES; i++)
        close_batch(&f->base, i);
    struct mor_changes changes = build(&f->base);
    for (size_t i = 0; i < changes.set.removal_count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(changes.set.removals[i].file, changes.set.removals[j].file);
        remove_rows(f, &changes.set.removals[i]);
    }
    f->first_of_commit = f->file_count;
    for (size_t i = 0; i < changes.set.group_count; i++)
        add_file(f, &changes.set.groups[i]);
    MOR_AUTO_BUFFER resolved = {0};
    mor_changes_resolve(&changes, &f->write, f->base.state, &resolved);
    apply_keys(f, &resolved);
    mor_changes_done(&changes);
    next_commit(&f->base);
}

// ---- tests --------------------------------------------------------------------------------------

struct expected {
    int64_t version, offset;
    const char *region;
    bool live, seen;
};

static void check_model(const struct place_fixture *f, const struct expected *model)
{
    size_t live = 0, found = 0;
    for (int i = 0; i < KEYS; i++)
        live += model[i].live;
    for (size_t i = 0; i < f->file_count; i++) {
        for (size_t r = 0; r < f->files[i].row_count; r++) {
            if (!f->files[i].rows[r].live)
                continue;
            const struct expected *wanted = &model[f->files[i].rows[r].id];
            assert_true(wanted->live);
            assert_int_equal(f->files[i].rows[r].version, wanted->version);
            assert_int_equal(f->files[i].rows[r].offset, wanted->offset);
            assert_string_equal(f->files[i].rows[r].region, wanted->region);
            found++;
        }
    }
    assert_int_equal(found, live);
}

static void every_key_has_one_row_in_its_place_after_every_commit(void **state)
{
    (void)state;
    static const char *const regions[] = {"north", "south", "west"};
    struct place_fixture f;
    struct expected model[KEYS] = {0};
    set_up_places(&f);
    uint64_t random = 3;
    int64_t offset = 0;
    for (int round = 0; round < 40; round++) {
        for (int row = 0; row < 100; row++, offset++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            int64_t id = (int64_t)(random >> 33) % KEYS, version = (int64_t)(random >> 50) % 30;
            unsigned dice = (unsigned)(random >> 20) % 20;
            // keys keep to a lane, as they keep to a Kafka partition
            struct mor_lane_batch *batch = &f.base.batches[id % LANES];
            const char *region = regions[(random >> 10) % 3];
            if (dice == 0) {
                add_row(batch, id, 0, NULL, offset, ROW_TOMBSTONE | ROW_DELETE);
                model[id].live = false;
                continue;
            }
            add_row(batch, id, version, region, offset, dice < 4 ? ROW_DELETE : 0);
            if (model[id].seen && version < model[id].version)
                continue;
            model[id] = (struct expected){version, offset, region, dice >= 4, true};
        }
        commit_places(&f);
        check_model(&f, model);
    }
    tear_down_places(&f);
}

static void a_row_that_loses_removes_nothing(void **state)
{
    (void)state;
    struct place_fixture f;
    set_up_places(&f);
    add_row(&f.base.batches[0], 1, 5, "north", 0, 0);
    commit_places(&f);
    add_row(&f.base.batches[0], 1, 4, "south", 1, 0);
    add_row(&f.base.batches[0], 2, 1, "south", 2, ROW_DELETE); // of a key that has no row
    close_batch(&f.base, 0);
    close_batch(&f.base, 1);
    struct mor_changes changes = build(&f.base);
    assert_int_equal(changes.set.group_count, 0);
    assert_int_equal(changes.set.removal_count, 0);
    assert_int_equal(changes.outcomes.updated, 1);
    assert_int_equal(changes.outcomes.deleted, 1);
    size_t count;
    (void)mor_changes_of_keys(&changes, &count);
    assert_int_equal(count, 1); // what the deleted key has had
    mor_changes_done(&changes);
    tear_down_places(&f);
}

static void two_keys_in_one_place_are_damage(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct place_fixture f;
    set_up_places(&f);
    add_row(&f.base.batches[0], 1, 5, "north", 0, 0);
    add_row(&f.base.batches[0], 2, 5, "north", 1, 0);
    close_batch(&f.base, 0);
    close_batch(&f.base, 1);
    struct mor_key_change lies[2];
    for (size_t i = 0; i < 2; i++)
        lies[i] = (struct mor_key_change){
            f.base.batches[0].keys[i],
            {(uint64_t)mor_state_name_number(f.base.state, "data/x.parquet") << 32 | 7, 1}};
    struct mor_buffer bytes = {.data = (uint8_t *)lies, .size_bytes = sizeof lies};
    apply_keys(&f, &bytes);
    struct mor_changes changes;
    const struct mor_known_keys known = {.state = f.base.state};
    const struct mor_changes_options options = {.table = f.base.table,
                                                .plan = &f.base.plan,
                                                .ordering_column = VERSION,
                                                .known = &known,
                                                .crew = f.base.crew};
    assert_fails(mor_changes_build(&options, f.base.parts, LANES, &changes, &err), MOR_DATA,
                 "two keys in one place of 'data/x.parquet'");
    tear_down_places(&f);
}

// ---- attachments --------------------------------------------------------------------------------

static struct mor_key_change place_of(struct mor_state *state, size_t i)
{
    char name[32];
    (void)snprintf(name, sizeof name, "data/%zu.parquet", i / 900);
    uint64_t place = (uint64_t)mor_state_name_number(state, name) << 32 | (0xfffffff0u - i % 900);
    return (struct mor_key_change){mor_hash128(&i, sizeof i),
                                   {i % 5 == 0 ? MOR_STATE_NOWHERE : place, i}};
}

struct seen_places {
    struct mor_state *state;
    size_t count;
};

static enum mor_status see_places(void *context, const struct mor_key_change *changes, size_t count,
                                  struct mor_error *err)
{
    (void)err;
    struct seen_places *seen = context;
    for (size_t i = 0; i < count; i++, seen->count++) {
        struct mor_key_change wanted = place_of(seen->state, seen->count);
        assert_memory_equal(&changes[i], &wanted, sizeof wanted);
    }
    return MOR_OK;
}

static void places_mean_the_same_to_another_instance(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct fixture mine, theirs;
    set_up(&mine, true, true, true);
    set_up(&theirs, true, true, true);
    for (int i = 20; i > 0; i--) { // the other one numbers files in its own way
        char name[32];
        (void)snprintf(name, sizeof name, "data/%d.parquet", i);
        (void)mor_state_name_number(theirs.state, name);
    }
    enum { CHANGES = 10000 };
    MOR_AUTO_FREE struct mor_key_change *changes = mor_alloc(CHANGES * sizeof *changes);
    for (size_t i = 0; i < CHANGES; i++)
        changes[i] = place_of(mine.state, i);
    MOR_AUTO_BUFFER bytes = {0};
    mor_key_attachment(mine.state, changes, CHANGES, 3, true, &bytes);
    struct seen_places seen = {.state = theirs.state};
    assert_ok(mor_key_attachment_visit(theirs.state, &bytes, true, see_places, &seen, &err));
    assert_int_equal(seen.count, CHANGES);
    // who takes places for partitions is told
    assert_fails(mor_key_attachment_visit(theirs.state, &bytes, false, see_places, &seen, &err),
                 MOR_FATAL, "without a name");
    tear_down(&mine);
    tear_down(&theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_one_row_in_its_place_after_every_commit),
        cmocka_unit_test(a_row_that_loses_removes_nothing),
        cmocka_unit_test(two_keys_in_one_place_are_damage),
        cmocka_unit_test(places_mean_the_same_to_another_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
