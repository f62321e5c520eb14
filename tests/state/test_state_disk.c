// Values that are well formed, each by itself, but not those of one transaction.
#include "state_fixture.h"

#include <lmdb.h>

#include "sorted_run.h"

static void make(struct fixture *f)
{
    fixture_init(f);
    for (uint64_t i = 0; i < 3; i++) {
        struct mor_state_batch *batch = begin_plain(f, judge_one(f, i, HOUR_MS, MOR_DEDUP_NEW));
        put_key(batch, i, i);
        char name[16];
        (void)snprintf(name, sizeof name, "name-%d", (int)i);
        (void)mor_state_name_number(f->state, name);
        apply(f, batch, INT64_MIN);
    }
    mor_state_free(f->state);
    f->state = NULL;
}

// Calls change(txn, dbi) on the file with LMDB itself.
static void tamper(const struct fixture *f, void (*change)(MDB_txn *txn, MDB_dbi dbi, char letter),
                   char letter)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/data", f->folder) > 0);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    change(txn, dbi, letter);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(path);
}

static void remove_first(MDB_txn *txn, MDB_dbi dbi, char letter)
{
    MDB_cursor *cursor;
    MDB_val key = {1, &letter}, value;
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE), 0);
    assert_int_equal(*(char *)key.mv_data, letter);
    assert_int_equal(mdb_cursor_del(cursor, 0), 0);
    mdb_cursor_close(cursor);
}

static void any_missing_value_is_noticed(void **context)
{
    (void)context;
    static const char letters[] = "CDHMNS";
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        struct fixture f;
        make(&f);
        tamper(&f, remove_first, letters[i]);
        fixture_open(&f);
        assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
        assert_string_not_equal(f.outcome.reason, "");
        fixture_done(&f);
    }
}

static void put_foreign(MDB_txn *txn, MDB_dbi dbi, char letter)
{
    char bytes[18] = {letter, 'K'};
    MDB_val key = {sizeof bytes, bytes}, value = {sizeof bytes, bytes};
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void chunks_without_a_record_are_removed(void **context)
{
    (void)context;
    struct fixture f;
    make(&f);
    tamper(&f, put_foreign, 'C');
    for (int restart = 0; restart < 2; restart++) {
        fixture_open(&f);
        assert_int_equal(f.outcome.condition, MOR_STATE_USABLE);
        assert_true(location_of(&f, 2) == 2);
        mor_state_free(f.state);
    }
    fixture_open(&f);
    fixture_done(&f);
}

static void foreign_values_are_noticed(void **context)
{
    (void)context;
    static const char letters[] = "NSU";
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        struct fixture f;
        make(&f);
        tamper(&f, put_foreign, letters[i]);
        fixture_open(&f);
        assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
        fixture_done(&f);
    }
}

static void write_another_format(MDB_txn *txn, MDB_dbi dbi, char letter)
{
    MDB_val key = {1, &letter}, value;
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    uint8_t *copy = malloc(value.mv_size);
    assert_non_null(copy);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[16]++; // format version
    uint64_t checksum = mor_run_checksum(&key, copy, value.mv_size);
    memcpy(copy, &checksum, sizeof checksum);
    MDB_val changed = {value.mv_size, copy};
    assert_int_equal(mdb_put(txn, dbi, &key, &changed, 0), 0);
    free(copy);
}

static void another_format_version_is_set_aside(void **context)
{
    (void)context;
    struct fixture f;
    make(&f);
    tamper(&f, write_another_format, 'H');
    fixture_open(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_SET_ASIDE);
    assert_non_null(strstr(f.outcome.reason, "another version of moraine"));
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_missing_value_is_noticed),
        cmocka_unit_test(chunks_without_a_record_are_removed),
        cmocka_unit_test(foreign_values_are_noticed),
        cmocka_unit_test(another_format_version_is_set_aside),
    };
    return cmocka_run_group_tests_name("state disk", tests, NULL, NULL);
}
