// Damage of data.mdb: whatever byte is wrong, the state is set aside or answers as it did.
#include "state_fixture.h"

#include <sys/stat.h>

#define VERSIONS    24
#define IDS_MAX     600
#define FLIPS       3000
#define FILE_PREFIX 2 * 4096 // both meta pages

static struct fixture f;
static uint8_t *file;
static size_t file_size;
static char *path;

static void read_file(void)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    file_size = (size_t)ftell(stream);
    rewind(stream);
    file = malloc(file_size);
    assert_int_equal(fread(file, 1, file_size, stream), file_size);
    fclose(stream);
}

static void write_file(size_t size)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(file, 1, size, stream), size);
    fclose(stream);
}

// Small runs stand inside of leaf pages, large ones on pages of their own.
static size_t id_count(uint64_t version)
{
    return version % 8 == 0 ? IDS_MAX : 50;
}

static struct mor_dedup_run *judge_version(uint64_t version, uint8_t *verdicts)
{
    return judge(&f, version * IDS_MAX, id_count(version), (int64_t)(version / 4) * HOUR_MS,
                 verdicts);
}

// Every version brings ids and keys, moves key 0 and takes key 1 away every other time.
static void make_versions(void)
{
    uint8_t verdicts[IDS_MAX];
    for (uint64_t version = 1; version <= VERSIONS; version++) {
        struct mor_state_batch *batch = begin_plain(&f, judge_version(version, verdicts));
        put_key(batch, 0, version);
        put_key(batch, 1, version % 2 == 0 ? MOR_STATE_NOWHERE : version);
        put_key(batch, 100 + version, version);
        char name[64];
        (void)snprintf(name, sizeof name, "file-%d", (int)version);
        assert_int_equal(mor_state_name_number(f.state, name), version - 1);
        apply(&f, batch, INT64_MIN);
        bool merged;
        assert_ok(mor_state_merge(f.state, &merged, &err));
    }
}

// The state is exactly that of its mark.
static void check_answers(void)
{
    const struct mor_state_mark *mark = mor_state_mark_of(f.state);
    assert_non_null(mark);
    uint64_t now = (uint64_t)atoi(mark->version + 1);
    assert_in_range(now, VERSIONS - 1, VERSIONS);
    assert_memory_equal(mark->offsets, "{\"0\":1}", 7);
    uint8_t verdicts[IDS_MAX];
    for (uint64_t version = 1; version <= VERSIONS + 1; version++) {
        mor_state_dedup_forget(f.state, judge_version(version, verdicts));
        for (size_t i = 0; i < id_count(version); i++)
            assert_int_equal(verdicts[i], version <= now ? MOR_DEDUP_STATE : MOR_DEDUP_NEW);
        assert_true(location_of(&f, 100 + version) ==
                    (version <= now ? version : MOR_STATE_NOWHERE));
    }
    assert_true(location_of(&f, 0) == now);
    assert_true(location_of(&f, 1) == (now % 2 == 0 ? MOR_STATE_NOWHERE : now));
    char name[64];
    (void)snprintf(name, sizeof name, "file-%d", (int)now);
    assert_string_equal(mor_state_name_text(f.state, (uint32_t)now - 1), name);
}

// Goes on with a state that was found usable: pages that only seem free would show now.
static void go_on(void)
{
    uint8_t verdicts[ROWS_MAX];
    const struct mor_state_mark *known = mor_state_mark_of(f.state);
    for (int i = 0; i < 3; i++) {
        char version[32];
        (void)snprintf(version, sizeof version, "%s", known->version);
        struct mor_state_mark mark = {.version = version,
                                      .offsets = "{\"0\":1}",
                                      .offsets_size_bytes = 7,
                                      .watermark_ms = INT64_MIN};
        struct mor_state_batch *batch =
            begin_plain(&f, judge(&f, 1000000 + (uint64_t)i * 1000, 900, HOUR_MS, verdicts));
        assert_ok(mor_state_batch_apply(f.state, batch, &mark, &err));
        fixture_reopen(&f);
        assert_int_equal(f.outcome.condition, MOR_STATE_USABLE);
        known = mor_state_mark_of(f.state);
    }
    check_answers();
}

// Opens what stands in the file; true when it was usable, and then it was right.
static bool try_file(size_t size)
{
    static int opened;
    write_file(size);
    fixture_open(&f);
    bool usable = f.outcome.condition == MOR_STATE_USABLE;
    if (usable)
        check_answers();
    else
        assert_null(mor_state_mark_of(f.state));
    if (usable && opened++ % 4 == 0)
        go_on();
    mor_state_free(f.state);
    f.state = NULL;
    return usable;
}

static int make_file(void **context)
{
    (void)context;
    // thousands of opens: in memory where that can be had
    if (access("/dev/shm", W_OK) == 0)
        assert_int_equal(chdir("/dev/shm"), 0);
    fixture_init(&f);
    make_versions();
    mor_state_free(f.state);
    f.state = NULL;
    assert_true(asprintf(&path, "%s/data/data.mdb", f.folder) > 0);
    read_file();
    return 0;
}

static int remove_file(void **context)
{
    (void)context;
    fixture_open(&f);
    fixture_done(&f);
    free(file);
    free(path);
    return 0;
}

static void the_file_as_it_is_is_usable(void **context)
{
    (void)context;
    assert_true(try_file(file_size));
    assert_true(try_file(file_size));
}

static void flip(size_t at, size_t *usable, size_t *set_aside, uint8_t mask)
{
    file[at] ^= mask;
    if (try_file(file_size))
        ++*usable;
    else
        ++*set_aside;
    file[at] ^= mask;
}

static void any_flipped_byte_is_noticed_or_harmless(void **context)
{
    (void)context;
    size_t usable = 0, set_aside = 0;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < FLIPS; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        flip(seed % file_size, &usable, &set_aside, (uint8_t)(seed >> 40) | 1);
    }
    for (size_t at = 0; at < 256; at++) { // the meta pages are dense only here
        flip(at, &usable, &set_aside, (uint8_t)(1u << at % 8));
        flip(4096 + at, &usable, &set_aside, 0xFF);
    }
    print_message("%zu usable, %zu set aside, %zu bytes\n", usable, set_aside, file_size);
    assert_true(usable > 0 && set_aside > 0);
}

// Every page's header and first entries: what LMDB itself would trust.
static void any_damaged_page_header_is_noticed_or_harmless(void **context)
{
    (void)context;
    size_t usable = 0, set_aside = 0;
    for (size_t page = 2; page < file_size / 4096; page++) {
        for (size_t at = 0; at < 24; at += 2 + page % 3)
            flip(page * 4096 + at, &usable, &set_aside, 0x41);
        flip(page * 4096 + 4095 - page % 32, &usable, &set_aside, 0x10);
    }
    print_message("%zu usable, %zu set aside\n", usable, set_aside);
}

static void a_file_cut_off_anywhere_is_noticed_or_harmless(void **context)
{
    (void)context;
    for (size_t size = 0; size < file_size; size += 1 + file_size / 97)
        (void)try_file(size);
    assert_false(try_file(FILE_PREFIX));
}

static void pages_of_another_file_are_noticed(void **context)
{
    (void)context;
    uint8_t *kept = malloc(file_size);
    assert_non_null(kept);
    memcpy(kept, file, file_size);
    size_t pages = file_size / 4096, usable = 0;
    for (size_t page = 2; page < pages; page++) {
        memcpy(file + page * 4096, kept + (page + pages / 2) % pages * 4096, 4096);
        usable += try_file(file_size);
        memset(file + page * 4096, 0, 4096);
        usable += try_file(file_size);
        memcpy(file + page * 4096, kept + page * 4096, 4096);
    }
    print_message("%zu of %zu usable (free pages)\n", usable, 2 * (pages - 2));
    memset(file, 'x', file_size);
    assert_false(try_file(file_size));
    assert_non_null(strstr(f.outcome.reason, "not written by LMDB"));
    memcpy(file, kept, file_size);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_as_it_is_is_usable),
        cmocka_unit_test(any_flipped_byte_is_noticed_or_harmless),
        cmocka_unit_test(any_damaged_page_header_is_noticed_or_harmless),
        cmocka_unit_test(a_file_cut_off_anywhere_is_noticed_or_harmless),
        cmocka_unit_test(pages_of_another_file_are_noticed),
    };
    return cmocka_run_group_tests_name("state check", tests, make_file, remove_file);
}
