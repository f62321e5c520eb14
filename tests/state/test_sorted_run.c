#include "state_fixture.h"

#include <lmdb.h>

#include "sorted_run.h"

struct opened {
    char *folder;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
};

static void init(struct opened *o)
{
    o->folder = check_folder();
    assert_int_equal(mdb_env_create(&o->env), 0);
    assert_int_equal(mdb_env_set_mapsize(o->env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(o->env, o->folder, MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(o->env, NULL, 0, &o->txn), 0);
    assert_int_equal(mdb_dbi_open(o->txn, NULL, 0, &o->dbi), 0);
}

static void done(struct opened *o)
{
    mdb_txn_abort(o->txn);
    mdb_env_close(o->env);
    char *command = NULL;
    assert_true(asprintf(&command, "rm -rf '%s'", o->folder) > 0);
    assert_int_equal(system(command), 0);
    free(command);
    free(o->folder);
}

// Hash number i of a run; `skewed`: not spread at all.
static struct mor_hash128 hash_at(size_t i, size_t count, bool skewed)
{
    if (skewed)
        return (struct mor_hash128){.high = i < count / 2 ? i : UINT64_MAX - count + i, .low = 5};
    return (struct mor_hash128){.high = UINT64_MAX / count * i, .low = i};
}

static void check_run(size_t count, uint32_t entry_size, bool skewed)
{
    struct opened o;
    init(&o);
    struct sorted_run run = {.kind = entry_size == KEY_ENTRY_SIZE ? RUN_OF_KEYS : RUN_OF_IDS,
                             .entry_size = entry_size,
                             .bucket = 0,
                             .sequence = 7,
                             .order = 7};
    size_t most = mor_run_chunk_entries_max(entry_size);
    uint8_t *entries = malloc(most * entry_size);
    assert_non_null(entries);
    for (size_t start = 0; start < count; start += most) {
        size_t part = count - start < most ? count - start : most;
        for (size_t i = 0; i < part; i++) {
            struct run_entry entry = {hash_at(start + i, count, skewed), start + i, ~(start + i)};
            mor_run_entry_put(entries + i * entry_size, entry_size, &entry);
        }
        assert_int_equal(mor_sorted_run_add_chunk(&run, o.txn, o.dbi, entries, part), 0);
    }
    free(entries);
    assert_int_equal(mor_sorted_run_add_record(&run, o.txn, o.dbi), 0);
    // every other one is in the run, some at once
    struct mor_hash128 hashes[RUN_SEARCHES];
    bool found[RUN_SEARCHES];
    struct run_entry found_entries[RUN_SEARCHES];
    const size_t step = 1 + count / 5000;
    for (size_t first = 0; first < count; first += step * RUN_SEARCHES / 2) {
        size_t asked = 0;
        for (size_t i = first; i < count && asked < RUN_SEARCHES; i += step) {
            hashes[asked++] = hash_at(i, count, skewed);
            hashes[asked] = hash_at(i, count, skewed);
            hashes[asked++].low += 1000000;
        }
        assert_int_equal(
            mor_sorted_run_find(&run, o.txn, o.dbi, hashes, asked, found, found_entries), 0);
        for (size_t at = 0; at < asked; at++) {
            size_t i = first + at / 2 * step;
            assert_int_equal(found[at], at % 2 == 0);
            if (!found[at])
                continue;
            assert_true(found_entries[at].value == (entry_size == ID_ENTRY_SIZE ? 0 : i));
            assert_true(found_entries[at].ordering == (entry_size == KEY_ENTRY_SIZE ? ~i : 0));
        }
    }
    hashes[0] = (struct mor_hash128){0, 0};
    hashes[1] = (struct mor_hash128){UINT64_MAX, UINT64_MAX};
    found[0] = found[1] = true;
    assert_int_equal(mor_sorted_run_find(&run, o.txn, o.dbi, hashes, 2, found, found_entries), 0);
    assert_false(found[1]);
    assert_true(!found[0] || hash_at(0, count, skewed).low == 0);
    assert_int_equal(mor_sorted_run_delete(&run, o.txn, o.dbi), 0);
    MDB_stat facts;
    assert_int_equal(mdb_stat(o.txn, o.dbi, &facts), 0);
    assert_int_equal(facts.ms_entries, 0);
    mor_sorted_run_done(&run);
    done(&o);
}

static void every_entry_of_a_run_is_found_and_no_other(void **context)
{
    (void)context;
    static const size_t counts[] = {1, 2, 3, 17, 1000, 200000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_run(counts[i], ID_ENTRY_SIZE, false);
        check_run(counts[i], BUCKET_ENTRY_SIZE, false);
        check_run(counts[i], KEY_ENTRY_SIZE, false);
        check_run(counts[i], KEY_ENTRY_SIZE, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_of_a_run_is_found_and_no_other),
    };
    return cmocka_run_group_tests_name("sorted run", tests, NULL, NULL);
}
