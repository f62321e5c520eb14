#include "table_test.h"

#include "hudi/hudi_file.h"

static void names_of_other_writers_are_parsed(void **state)
{
    (void)state;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct hudi_file file;
    assert_true(hudi_file_parse(
        "6d3d1d6e-2298-4080-a0c1-494877d6f40a-0_0-13-60_20250618054711154.parquet", &arena, &file));
    assert_false(file.is_log);
    assert_string_equal(file.file_id, "6d3d1d6e-2298-4080-a0c1-494877d6f40a-0");
    assert_string_equal(file.token, "0-13-60");
    assert_string_equal(file.instant, "20250618054711154");
    assert_true(hudi_file_parse(
        ".6d3d1d6e-2298-4080-a0c1-494877d6f40a-0_20250618054711154.log.12_0-26-85", &arena, &file));
    assert_true(file.is_log);
    assert_int_equal(file.version, 12);
    assert_string_equal(file.file_id, "6d3d1d6e-2298-4080-a0c1-494877d6f40a-0");
    mor_arena_done(&arena);
}

static void other_files_are_not_taken_for_data(void **state)
{
    (void)state;
    static const char *const names[] = {
        "x.parquet",
        "a_b_notatime.parquet",
        ".hoodie_partition_metadata",
        ".a_20250618054711154.log.1_0-1-1.cdc",
        ".a_20250618054711154.log.x_0-1-1",
        ".a_2025.log.1_0-1-1",
        "a_0-1-1_20250618054711154.orc",
        ".moraine-00000000-1-1-0.tmp",
        "",
        ".",
    };
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct hudi_file file;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(hudi_file_parse(names[i], &arena, &file));
    mor_arena_done(&arena);
}

static void log_of_version_6_tells_its_commit_by_the_token(void **state)
{
    (void)state;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    char *name = hudi_log_name("00000003-0000-0000-0000-000000000000-0", "20260101000000000", 7, 3,
                               "20260102030405006");
    assert_string_equal(
        name,
        ".00000003-0000-0000-0000-000000000000-0_20260101000000000.log.7_3-20260102-030405006");
    struct hudi_file file;
    assert_true(hudi_file_parse(name, &arena, &file));
    assert_true(hudi_file_belongs(&file, 6, "20260102030405006"));
    assert_false(hudi_file_belongs(&file, 6, "20260101000000000"));
    assert_true(hudi_file_belongs(&file, 9, "20260101000000000"));
    free(name);
    mor_arena_done(&arena);
}

static void bucket_file_ids_are_parsed_and_others_refused(void **state)
{
    (void)state;
    char id[48];
    hudi_bucket_file_id(11, "", id);
    assert_string_equal(id, "00000011-0000-0000-0000-000000000000-0");
    assert_int_equal(hudi_file_id_bucket(id), 11);
    // one id in two partitions would hide files from incremental queries
    char other[48];
    hudi_bucket_file_id(11, "day=2026-01-01", id);
    hudi_bucket_file_id(11, "day=2026-01-02", other);
    assert_string_not_equal(id, other);
    assert_int_equal(strlen(id), strlen("00000011-0000-0000-0000-000000000000-0"));
    assert_int_equal(hudi_file_id_bucket(id), 11);
    assert_int_equal(hudi_file_id_bucket("6d3d1d6e-2298-4080-a0c1-494877d6f40a-0"), -1);
    assert_int_equal(hudi_file_id_bucket(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_other_writers_are_parsed),
        cmocka_unit_test(other_files_are_not_taken_for_data),
        cmocka_unit_test(log_of_version_6_tells_its_commit_by_the_token),
        cmocka_unit_test(bucket_file_ids_are_parsed_and_others_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
