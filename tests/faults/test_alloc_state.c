// Memory is refused while ids are judged, keys looked up, a batch applied and runs merged.
#include "../state/state_fixture.h"
#include "alloc_fault.h"
#include "moraine/base/memory.h"

#define OLD_IDS 64

struct work {
    struct fixture f;
    char *kept; // the folder as every process finds it
};

// `to` becomes a copy of `from`.
static void copy_folder(const char *from, const char *to)
{
    MOR_AUTO_FREE char *command = mor_asprintf("rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

static void bring_back(void *context)
{
    struct work *work = context;
    copy_folder(work->kept, work->f.folder);
}

// Judges ids 32 to 95 (the first half is known), looks keys up, adds key 7 and moves key 1.
static enum mor_status commit(struct mor_state *state, struct mor_error *error)
{
    struct mor_hash128 ids[OLD_IDS];
    int64_t times[OLD_IDS];
    uint8_t verdicts[OLD_IDS];
    struct mor_state_entry entries[OLD_IDS];
    for (size_t i = 0; i < OLD_IDS; i++) {
        ids[i] = id_of(OLD_IDS / 2 + i);
        times[i] = HOUR_MS;
        verdicts[i] = MOR_DEDUP_ASK;
    }
    struct mor_dedup_run *run = NULL;
    MOR_TRY(mor_state_dedup(state, ids, times, verdicts, OLD_IDS, &run, error));
    enum mor_status status = mor_state_lookup(state, ids, OLD_IDS, entries, error);
    if (status != MOR_OK) {
        mor_state_dedup_forget(state, run);
        return status;
    }
    for (size_t i = 0; i < OLD_IDS; i++)
        if ((verdicts[i] == MOR_DEDUP_STATE) != (i < OLD_IDS / 2) ||
            (entries[i].location == i + OLD_IDS / 2) != (i < OLD_IDS / 2))
            abort();
    struct mor_state_batch *batch = NULL;
    const struct mor_dedup_correction *corrections;
    size_t correction_count;
    MOR_TRY(mor_state_batch_begin(state, &run, 1, NULL, 0, &batch, &corrections, &correction_count,
                                  error));
    mor_state_name_number(state, "day=2");
    struct mor_hash128 keys[2] = {id_of(1), id_of(700)};
    mor_state_batch_index(batch, keys, (struct mor_state_entry[]){{1000, 2}, {700, 1}}, 2);
    struct mor_state_mark mark = {.version = "v2", .offsets = "", .watermark_ms = HOUR_MS};
    status = mor_state_batch_apply(state, batch, &mark, error);
    if (status != MOR_OK)
        mor_state_batch_drop(state, batch);
    return status;
}

static enum mor_status open_and_commit(void *context, struct mor_error *error)
{
    struct work *work = context;
    struct mor_state *state = NULL;
    struct mor_state_outcome outcome;
    MOR_TRY(mor_state_open(&work->f.options, &state, &outcome, error));
    // refused memory is no damage: nothing may be set aside for it
    if (outcome.condition != MOR_STATE_USABLE)
        abort();
    enum mor_status status = commit(state, error);
    bool merged = false;
    if (status == MOR_OK)
        status = mor_state_merge(state, &merged, error);
    mor_state_free(state);
    return status;
}

static void look(void *context, enum alloc_outcome outcome)
{
    struct work *work = context;
    struct fixture *f = &work->f;
    fixture_open(f);
    assert_int_equal(f->outcome.condition, MOR_STATE_USABLE);
    bool applied = strcmp(mor_state_mark_of(f->state)->version, "v2") == 0;
    assert_true(applied || outcome != ALLOC_DONE);
    for (uint64_t id = 0; id < OLD_IDS * 2; id++) {
        bool known = id < (applied ? OLD_IDS * 3 / 2 : OLD_IDS);
        mor_state_dedup_forget(f->state,
                               judge_one(f, id, HOUR_MS, known ? MOR_DEDUP_STATE : MOR_DEDUP_NEW));
    }
    check_entry(f, 1, applied ? 1000 : 1, applied ? 2 : 1);
    check_entry(f, 700, applied ? 700 : MOR_STATE_NOWHERE, applied ? 1 : 0);
    mor_state_free(f->state);
    f->state = NULL;
}

static void sweep(const char *name, size_t share_bytes)
{
    struct work work;
    fixture_init(&work.f);
    work.f.options.share_bytes = share_bytes;
    uint8_t verdicts[OLD_IDS];
    // enough runs for a merge
    for (uint64_t part = 0; part < 8; part++) {
        struct mor_state_batch *batch =
            begin_plain(&work.f, judge(&work.f, part * 8, 8, HOUR_MS, verdicts));
        for (uint64_t key = part * 8; key < part * 8 + 8; key++)
            put_entry(batch, key, key, 1);
        mor_state_name_number(work.f.state, "day=1");
        apply(&work.f, batch, HOUR_MS);
    }
    mor_state_free(work.f.state);
    work.f.state = NULL;
    work.kept = mor_asprintf("%s.kept", work.f.folder);
    copy_folder(work.f.folder, work.kept);
    struct alloc_work swept = {.name = name,
                               .context = &work,
                               .before = bring_back,
                               .run = open_and_commit,
                               .after = look};
    alloc_fault_sweep(&swept);
    free(work.kept);
    fixture_done(&work.f);
}

static void state_survives_refused_memory_with_tables(void **context)
{
    (void)context;
    sweep("state, tables", 0);
}

static void state_survives_refused_memory_with_filters(void **context)
{
    (void)context;
    sweep("state, filters", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_survives_refused_memory_with_tables),
        cmocka_unit_test(state_survives_refused_memory_with_filters),
    };
    return cmocka_run_group_tests_name("allocation faults: state", tests, NULL, NULL);
}
