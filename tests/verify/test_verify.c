#include "verify_test.h"

// Three commits of 100 rows each from two Kafka partitions, in two table partitions.
static void make_table(struct rig *rig, bool keyed, int version)
{
    rig_open(rig, keyed, true, version);
    rig_commit(rig, (struct rig_commit){.partition = 0, .start = 10, .count = 100});
    rig_commit(rig,
               (struct rig_commit){.partition = 1, .count = 100, .id_first = 1000, .region = "us"});
    rig_commit(rig, (struct rig_commit){
                        .partition = 0, .start = 110, .count = 100, .id_first = 50, .gaps = 3});
}

// ---- right --------------------------------------------------------------------------------------

static void tables_as_they_are_written_are_right(void **state)
{
    (void)state;
    for (int keyed = 0; keyed <= 1; keyed++) {
        for (int version = 6; version <= 9; version += 3) {
            struct rig rig;
            make_table(&rig, keyed, version);
            struct mor_verify_report *report = rig_verify(&rig, NULL);
            if (report->wrong_count + report->warning_count > 0)
                rig_show(report, "nothing");
            assert_int_equal(rig_number(report, MOR_VERIFY_LEDGER, "commits"), 3);
            assert_int_equal(rig_number(report, MOR_VERIFY_LEDGER, "offsets"), 303);
            // ids 50 to 99 of the keyed table were written twice
            assert_int_equal(rig_number(report, MOR_VERIFY_ROWS, "rows"), keyed ? 250 : 300);
            assert_int_equal(rig_number(report, MOR_VERIFY_KEYS, "keys"), keyed ? 250 : 0);
            assert_int_equal(rig_number(report, MOR_VERIFY_FILES, "files"), 3);
            assert_int_equal(rig_number(report, MOR_VERIFY_FILES, "of unknown size"), 0);
            assert_int_equal(report->checks[MOR_VERIFY_KEYS].checked, keyed);
            assert_false(report->checks[MOR_VERIFY_KAFKA].checked);
            mor_verify_report_free(report);
            rig_close(&rig);
        }
    }
}

static void a_table_without_a_ledger_is_checked_as_far_as_it_goes(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, true, false, 6);
    struct mor_verify_report *report = rig_verify(&rig, NULL);
    assert_int_equal(report->wrong_count, 0);
    assert_false(report->checks[MOR_VERIFY_LEDGER].checked);
    assert_false(report->checks[MOR_VERIFY_ROWS].checked);
    assert_true(report->checks[MOR_VERIFY_FILES].checked);
    mor_verify_report_free(report);
    rig_close(&rig);
}

static void a_report_is_printed_as_text_and_as_json(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    MOR_AUTO_FREE char *path = rig_path(&rig, "*/*.parquet", 0);
    assert_int_equal(unlink(path), 0);
    struct mor_verify_report *report = rig_verify(&rig, NULL);
    MOR_AUTO_BUFFER text = {0};
    MOR_AUTO_BUFFER json = {0};
    mor_verify_report_text(report, &text);
    mor_verify_report_json(report, &json);
    const char *shown = mor_buffer_terminate(&text), *object = mor_buffer_terminate(&json);
    assert_non_null(strstr(shown, "files   WRONG"));
    assert_non_null(strstr(shown, "FINDING [files: missing file] commit "));
    assert_non_null(strstr(shown, "WRONG: 2 findings, 0 warnings, at commit "));
    assert_non_null(strstr(object, "\"right\": false"));
    assert_non_null(strstr(object, "\"kind\": \"missing file\""));
    assert_non_null(strstr(object, "\"finding_count\": 2"));
    mor_verify_report_free(report);
    rig_close(&rig);
}

// ---- files --------------------------------------------------------------------------------------

static void a_lost_row_file_is_found_with_its_rows(void **state)
{
    (void)state;
    for (int version = 6; version <= 9; version += 3) {
        struct rig rig;
        make_table(&rig, false, version);
        MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
        assert_int_equal(unlink(path), 0);
        RIG_EXPECT(&rig, strrchr(path, '/') + 1, "missing file", "missing rows");
        RIG_EXPECT(&rig, "100 are missing", "missing rows", "missing file");
        rig_close(&rig);
    }
}

static void a_lost_log_file_is_found(void **state)
{
    (void)state;
    for (int version = 6; version <= 9; version += 3) {
        struct rig rig;
        make_table(&rig, true, version);
        MOR_AUTO_FREE char *path = rig_path(&rig, "region=eu/.*.log.*", 0);
        assert_int_equal(unlink(path), 0);
        RIG_EXPECT(&rig, strrchr(path, '/') + 1, "missing file");
        rig_close(&rig);
    }
}

static void flipped_bytes_in_a_page_are_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
    MOR_AUTO_BUFFER bytes = {0};
    rig_load(path, &bytes);
    for (size_t i = 40; i < 80; i++)
        bytes.data[i] ^= 0x55;
    rig_store(path, &bytes);
    struct mor_verify_report *report = rig_verify(&rig, NULL);
    const struct mor_verify_finding *finding = rig_find(report, "damaged file");
    if (!finding || !strstr(finding->file, "region=us/") || !strstr(finding->text, "row group 0"))
        rig_show(report, "damaged file");
    mor_verify_report_free(report);
    rig_close(&rig);
}

static void changed_statistics_are_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
    rig_edit(path, "id-0001099", "id-0001050"); // the footer comes last
    RIG_EXPECT(&rig, "column 'id': the maximum of the chunk is below a value", "damaged file");
    rig_close(&rig);
}

static void a_file_that_grew_or_shrank_is_found(void **state)
{
    (void)state;
    static const char *const patterns[] = {"region=us/*.parquet", "region=eu/.*.log.*"};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        make_table(&rig, true, 6);
        MOR_AUTO_FREE char *path = rig_path(&rig, patterns[i], 0);
        MOR_AUTO_BUFFER bytes = {0};
        rig_load(path, &bytes);
        bytes.size_bytes -= 9;
        rig_store(path, &bytes);
        RIG_EXPECT(&rig, "bytes, the file has", "file size", "damaged file", "unreadable");
        bytes.size_bytes += 9;
        mor_buffer_append_text(&bytes, "garbage");
        rig_store(path, &bytes);
        RIG_EXPECT(&rig, "bytes, the file has", "file size", "damaged file", "unreadable");
        rig_close(&rig);
    }
}

static void broken_blocks_of_a_log_are_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, true, 9);
    MOR_AUTO_FREE char *path = rig_path(&rig, "region=eu/.*.log.*", 0);
    rig_edit(path, "#HUDI#", "#HUDO#");
    RIG_EXPECT(&rig, "no magic", "damaged file", "unreadable");
    rig_close(&rig);
}

// A copy under a later version number: readers take it, merging hides it.
static void a_doubled_log_file_is_found(void **state)
{
    (void)state;
    for (int version = 6; version <= 9; version += 3) {
        struct rig rig;
        make_table(&rig, true, version);
        MOR_AUTO_FREE char *path = rig_path(&rig, "region=eu/.*.log.1_*", 0);
        MOR_AUTO_FREE char *copy = mor_strdup(path);
        strstr(copy, ".log.1_")[5] = '7';
        rig_copy(path, copy);
        RIG_EXPECT(&rig, strrchr(copy, '/') + 1, "unnamed file");
        rig_close(&rig);
    }
}

// A copy under another file group: every row of it is there twice.
static void a_doubled_row_file_is_found_with_its_rows(void **state)
{
    (void)state;
    for (int version = 6; version <= 9; version += 3) {
        struct rig rig;
        make_table(&rig, false, version);
        MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
        MOR_AUTO_FREE char *copy = mor_strdup(path);
        char *name = strrchr(copy, '/') + 1;
        *name = *name == 'f' ? 'e' : 'f';
        rig_copy(path, copy);
        RIG_EXPECT(&rig, "100 rows of the file group come from offsets that other rows",
                   "doubled row", "unnamed file", "too many rows");
        RIG_EXPECT(&rig, "200 rows come from the commit's offsets, its ledger counts 100",
                   "too many rows", "unnamed file", "doubled row");
        rig_close(&rig);
    }
}

static void leftovers_and_pending_commits_are_warnings(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    MOR_AUTO_FREE char *base = rig_path(&rig, "region=us/*.parquet", 0);
    MOR_AUTO_FREE char *folder = mor_strndup(base, (size_t)(strrchr(base, '/') - base));
    MOR_AUTO_FREE char *left = mor_asprintf(
        "%s/ffffffff-0000-0000-0000-000000000000-0_0-0-0_29990101000000000.parquet", folder);
    rig_copy(base, left);
    MOR_AUTO_FREE char *instant =
        mor_asprintf("%s/.hoodie/29990101000000001.deltacommit.inflight", rig.location);
    const struct mor_buffer nothing = {0};
    rig_store(instant, &nothing);
    struct mor_verify_report *report = rig_verify(&rig, NULL);
    const struct mor_verify_finding *leftover = rig_find(report, "leftover");
    const struct mor_verify_finding *pending = rig_find(report, "pending");
    if (report->wrong_count != 0 || report->warning_count != 2 || !leftover || !pending)
        rig_show(report, "two warnings");
    assert_non_null(strstr(leftover->file, "ffffffff-"));
    assert_string_equal(pending->version, "29990101000000001");
    mor_verify_report_free(report);
    rig_close(&rig);
}

// ---- timeline and ledger ------------------------------------------------------------------------

static void a_deleted_instant_leaves_a_gap(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    rig_commit(&rig, (struct rig_commit){.partition = 0, .start = 213, .count = 5});
    MOR_AUTO_FREE char *completed = rig_path(&rig, ".hoodie/*.deltacommit", 2);
    MOR_AUTO_FREE char *command =
        mor_asprintf("rm '%s' '%s.inflight' '%s.requested'", completed, completed, completed);
    assert_int_equal(system(command), 0);
    RIG_EXPECT(&rig, "103 offsets are in no commit", "gap");
    rig_close(&rig);
}

static void a_deleted_oldest_instant_makes_its_rows_foreign(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 6);
    MOR_AUTO_FREE char *completed = rig_path(&rig, ".hoodie/*.deltacommit", 0);
    MOR_AUTO_FREE char *command =
        mor_asprintf("rm '%s' '%s.inflight' '%s.requested'", completed, completed, completed);
    assert_int_equal(system(command), 0);
    // nothing was archived: the oldest ledger must be the first one, and it carries an offset
    struct mor_verify_report *report = rig_verify(&rig, NULL);
    assert_true(report->wrong_count > 0 || report->checks[MOR_VERIFY_LEDGER].why_not[0] != '\0');
    mor_verify_report_free(report);
    rig_close(&rig);
}

// The ledger stands as text within the text of a version 6 commit.
static void an_edited_ledger_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *kind, *words;
    } cases[] = {
        {"\\\"0\\\":[110,213]", "\\\"0\\\":[111,213]", "gap", "1 offsets are in no commit"},
        {"\\\"0\\\":[110,213]", "\\\"0\\\":[109,213]", "overlap", "1 offsets were committed twice"},
        {"\\\"0\\\":[213,0]", "\\\"0\\\":[214,0]", "offsets", "its ranges lead to 213"},
        {"\\\"read\\\":100", "\\\"read\\\":99", "sums", "do not fill the 103 offsets"},
        {"\\\"inserted\\\":100", "\\\"inserted\\\":90", "sums", "and 90 have an outcome"},
        {"\\\"watermark_ms\\\":3000", "\\\"watermark_ms\\\":1999", "watermark", "goes back"},
        {"\\\"topic\\\":\\\"t\\\"", "\\\"topic\\\":\\\"u\\\"", "identity", "from 't' to 'u'"},
        {"\\\"v\\\":1", "\\\"v\\\":7", "malformed", "none of version 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        make_table(&rig, true, 6);
        MOR_AUTO_FREE char *completed = rig_path(&rig, ".hoodie/*.deltacommit", -1);
        rig_edit(completed, cases[i].from, cases[i].to);
        RIG_EXPECT(&rig, cases[i].words, cases[i].kind, "gap", "offsets", "sums", "row outside",
                   "too many rows", "overlap");
        rig_close(&rig);
    }
}

static void rows_that_the_ledger_does_not_count_are_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 9);
    rig_commit(&rig, (struct rig_commit){
                         .partition = 0, .start = 213, .count = 10, .gaps = 5, .stated_more = 2});
    RIG_EXPECT(&rig, "10 rows come from the commit's offsets, its ledger counts 12: 2 are missing",
               "missing rows");
    rig_commit(&rig, (struct rig_commit){
                         .partition = 0, .start = 228, .count = 10, .gaps = 5, .stated_more = -3});
    RIG_EXPECT(&rig, "10 rows come from the commit's offsets, its ledger counts 7", "too many rows",
               "missing rows");
    rig_close(&rig);
}

static void rows_from_offsets_that_no_commit_covers_are_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, false, 9);
    // the ledger says partition 2, the rows come from partition 1: offsets 100 to 119
    struct rig_commit commit = {.partition = 1, .start = 100, .count = 20};
    int64_t next = rig.next[1];
    rig_commit(&rig, commit);
    rig.next[1] = next;
    commit = (struct rig_commit){.partition = 1, .start = 110, .count = 20};
    rig_commit(&rig, commit);
    RIG_EXPECT(&rig, "10 offsets were committed twice", "overlap", "doubled row", "too many rows",
               "missing rows");
    rig_close(&rig);
}

static void without_coordinates_the_number_of_rows_is_checked(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, false, false, 6);
    rig_commit(&rig, (struct rig_commit){.partition = 0, .count = 50});
    rig_commit(&rig, (struct rig_commit){.partition = 0, .start = 50, .count = 50, .region = "us"});
    rig_expect_right(&rig);
    MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
    assert_int_equal(unlink(path), 0);
    RIG_EXPECT(&rig, "the table has 50 rows, the ledger counts 100", "missing rows",
               "missing file");
    rig_close(&rig);
}

// ---- keys ---------------------------------------------------------------------------------------

static void a_key_in_two_table_partitions_is_a_kind_of_its_own(void **state)
{
    (void)state;
    for (int version = 6; version <= 9; version += 3) {
        struct rig rig;
        make_table(&rig, true, version);
        rig_commit(&rig,
                   (struct rig_commit){
                       .partition = 0, .start = 213, .count = 2, .id_first = 7, .region = "us"});
        RIG_EXPECT(&rig, "key 'id-000000", "key in several partitions");
        RIG_EXPECT(&rig, "'region=us'", "key in several partitions");
        rig_close(&rig);
    }
}

static void a_key_twice_in_one_partition_is_found(void **state)
{
    (void)state;
    struct rig rig;
    make_table(&rig, true, 6);
    MOR_AUTO_FREE char *path = rig_path(&rig, "region=us/*.parquet", 0);
    MOR_AUTO_FREE char *copy = mor_strdup(path);
    memcpy(strrchr(copy, '/') + 1, "00000009", 8); // a bucket that the table does not have
    rig_copy(path, copy);
    RIG_EXPECT(&rig, "occurs 2 times, in partitions 'region=us'", "doubled key", "unnamed file",
               "doubled row", "too many rows");
    rig_close(&rig);
}

// ---- Iceberg ------------------------------------------------------------------------------------

static void tables_of_iceberg_are_checked_alike(void **state)
{
    (void)state;
    for (int version = 2; version <= 3; version++) {
        struct rig rig;
        make_table(&rig, false, version);
        struct mor_verify_report *report = rig_verify(&rig, NULL);
        if (report->wrong_count + report->warning_count > 0)
            rig_show(report, "nothing");
        assert_int_equal(rig_number(report, MOR_VERIFY_LEDGER, "commits"), 3);
        assert_int_equal(rig_number(report, MOR_VERIFY_ROWS, "rows"), 300);
        assert_int_equal(rig_number(report, MOR_VERIFY_FILES, "files"), 3);
        assert_int_equal(rig_number(report, MOR_VERIFY_FILES, "of unknown size"), 0);
        mor_verify_report_free(report);
        MOR_AUTO_FREE char *hint = rig_path(&rig, "metadata/version-hint.text", 0);
        FILE *file = fopen(hint, "w");
        assert_non_null(file);
        fputs("none", file);
        fclose(file);
        RIG_EXPECT(&rig, "holds no number", "format");
        MOR_AUTO_FREE char *path = rig_path(&rig, "data/region=us/*.parquet", 0);
        assert_int_equal(unlink(path), 0);
        RIG_EXPECT(&rig, strrchr(path, '/') + 1, "missing file", "missing rows", "format",
                   "unreadable");
        rig_close(&rig);
    }
}

static void keys_of_iceberg_tables_that_stand_twice_are_found(void **state)
{
    (void)state;
    for (int version = 2; version <= 3; version++) {
        struct rig rig;
        make_table(&rig, true, version); // ids 50 to 99 again, and nobody removes the rows before
        struct mor_verify_report *report = rig_verify(&rig, NULL);
        assert_int_equal(rig_number(report, MOR_VERIFY_KEYS, "keys"), 300);
        mor_verify_report_free(report);
        RIG_EXPECT(&rig, "key 'id-00000", "doubled key");
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_as_they_are_written_are_right),
        cmocka_unit_test(a_table_without_a_ledger_is_checked_as_far_as_it_goes),
        cmocka_unit_test(a_report_is_printed_as_text_and_as_json),
        cmocka_unit_test(a_lost_row_file_is_found_with_its_rows),
        cmocka_unit_test(a_lost_log_file_is_found),
        cmocka_unit_test(flipped_bytes_in_a_page_are_found),
        cmocka_unit_test(changed_statistics_are_found),
        cmocka_unit_test(a_file_that_grew_or_shrank_is_found),
        cmocka_unit_test(broken_blocks_of_a_log_are_found),
        cmocka_unit_test(a_doubled_log_file_is_found),
        cmocka_unit_test(a_doubled_row_file_is_found_with_its_rows),
        cmocka_unit_test(leftovers_and_pending_commits_are_warnings),
        cmocka_unit_test(a_deleted_instant_leaves_a_gap),
        cmocka_unit_test(a_deleted_oldest_instant_makes_its_rows_foreign),
        cmocka_unit_test(an_edited_ledger_is_found),
        cmocka_unit_test(rows_that_the_ledger_does_not_count_are_found),
        cmocka_unit_test(rows_from_offsets_that_no_commit_covers_are_found),
        cmocka_unit_test(without_coordinates_the_number_of_rows_is_checked),
        cmocka_unit_test(a_key_in_two_table_partitions_is_a_kind_of_its_own),
        cmocka_unit_test(a_key_twice_in_one_partition_is_found),
        cmocka_unit_test(tables_of_iceberg_are_checked_alike),
        cmocka_unit_test(keys_of_iceberg_tables_that_stand_twice_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
