// Summaries: counters of a commit and totals, as the specification's example has them.
#include "check.h"
#include "iceberg/iceberg_summary.h"

static void assert_summary(const json_t *json, const char *key, const char *expected)
{
    const char *value = iceberg_json_text(json, key);
    if (!expected) {
        assert_null(value);
        return;
    }
    if (!value || strcmp(value, expected) != 0)
        fail_msg("%s is %s, not %s", key, value ? value : "absent", expected);
}

static struct iceberg_data_file file_of(enum iceberg_file_content content, const char *format,
                                        int64_t records, int64_t size)
{
    return (struct iceberg_data_file){
        .content = content,
        .file_path = "file:///t/x",
        .file_format = format,
        .record_count = records,
        .file_size_bytes = size,
        .content_offset = 4,
        .content_size_bytes = 42,
    };
}

static void counters_and_totals_follow_the_files(void **state)
{
    (void)state;
    struct iceberg_summary first = {0}, second = {0}, third = {0};
    struct iceberg_data_file f1 = file_of(ICEBERG_DATA, "PARQUET", 5, 440);
    iceberg_summary_count(&first, 0, 0, &f1, true);
    json_t *one = iceberg_summary_make(&first, NULL, NULL);
    assert_summary(one, "operation", "append");
    assert_summary(one, "added-records", "5");
    assert_summary(one, "added-files-size", "440");
    assert_summary(one, "total-files-size", "440");
    assert_summary(one, "total-equality-deletes", "0");
    assert_summary(one, "changed-partition-count", "1");
    assert_summary(one, "deleted-data-files", NULL);

    struct iceberg_data_file f2 = file_of(ICEBERG_DATA, "PARQUET", 2, 403);
    struct iceberg_data_file dv = file_of(ICEBERG_POSITION_DELETES, "PUFFIN", 1, 349);
    iceberg_summary_count(&second, 0, 0, &f2, true);
    iceberg_summary_count(&second, 0, 0, &dv, true);
    json_t *two = iceberg_summary_make(&second, NULL, one);
    assert_summary(two, "operation", "overwrite");
    assert_summary(two, "added-files-size", "445"); // the blob, not the file
    assert_summary(two, "total-files-size", "885");
    assert_summary(two, "added-dvs", "1");
    assert_summary(two, "added-delete-files", "1");
    assert_summary(two, "added-position-delete-files", NULL);
    assert_summary(two, "total-position-deletes", "1");
    assert_summary(two, "total-records", "7");

    struct iceberg_data_file f4 = file_of(ICEBERG_DATA, "PARQUET", 6, 430);
    iceberg_summary_count(&third, 0, 0, &f1, false);
    iceberg_summary_count(&third, 0, 0, &f2, false);
    iceberg_summary_count(&third, 0, 0, &dv, false);
    iceberg_summary_count(&third, 0, 0, &f4, true);
    json_t *three = iceberg_summary_make(&third, "replace", two);
    assert_summary(three, "operation", "replace");
    assert_summary(three, "deleted-records", "7");
    assert_summary(three, "removed-dvs", "1");
    assert_summary(three, "total-records", "6");
    assert_summary(three, "total-data-files", "1");
    assert_summary(three, "total-delete-files", "0");
    assert_summary(three, "total-files-size", "430");
    json_decref(one);
    json_decref(two);
    json_decref(three);
    iceberg_summary_done(&first);
    iceberg_summary_done(&second);
    iceberg_summary_done(&third);
}

static void operations_say_what_changed(void **state)
{
    (void)state;
    struct iceberg_summary nothing = {0}, deletes = {0};
    struct iceberg_data_file pd = file_of(ICEBERG_POSITION_DELETES, "PARQUET", 3, 354);
    iceberg_summary_count(&deletes, 0, 0, &pd, true);
    json_t *one = iceberg_summary_make(&nothing, NULL, NULL);
    json_t *two = iceberg_summary_make(&deletes, NULL, one);
    assert_summary(one, "operation", "append");
    assert_summary(one, "changed-partition-count", NULL);
    assert_summary(two, "operation", "delete");
    assert_summary(two, "added-position-delete-files", "1");
    assert_summary(two, "added-dvs", NULL);
    json_decref(one);
    json_decref(two);
    iceberg_summary_done(&deletes);
}

static void totals_that_the_parent_does_not_know_stay_unknown(void **state)
{
    (void)state;
    struct iceberg_summary removal = {0};
    struct iceberg_data_file f1 = file_of(ICEBERG_DATA, "PARQUET", 5, 440);
    iceberg_summary_count(&removal, 0, 0, &f1, false);
    json_t *parent = json_pack("{s:s, s:s, s:s}", "total-records", "3", "total-data-files", "x",
                               "total-files-size", "1000");
    json_t *json = iceberg_summary_make(&removal, NULL, parent);
    assert_summary(json, "total-records", NULL); // would be negative
    assert_summary(json, "total-data-files", NULL);
    assert_summary(json, "total-delete-files", NULL);
    assert_summary(json, "total-files-size", "560");
    json_decref(parent);
    json_decref(json);
    iceberg_summary_done(&removal);
}

static void partitions_are_counted_once(void **state)
{
    (void)state;
    struct iceberg_summary summary = {0};
    struct iceberg_data_file file = file_of(ICEBERG_DATA, "PARQUET", 1, 1);
    const struct iceberg_value tuples[][1] = {{{(const uint8_t *)"a", 1}},
                                              {{(const uint8_t *)"", 0}},
                                              {{NULL, 0}},
                                              {{(const uint8_t *)"a", 1}}};
    for (size_t i = 0; i < 4; i++) {
        file.partition = tuples[i];
        iceberg_summary_count(&summary, 0, 1, &file, true);
    }
    json_t *json = iceberg_summary_make(&summary, NULL, NULL);
    assert_summary(json, "changed-partition-count", "3");
    json_decref(json);
    iceberg_summary_done(&summary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_totals_follow_the_files),
        cmocka_unit_test(operations_say_what_changed),
        cmocka_unit_test(totals_that_the_parent_does_not_know_stay_unknown),
        cmocka_unit_test(partitions_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
