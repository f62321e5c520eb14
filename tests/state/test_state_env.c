#include "state_fixture.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void the_map_grows_with_the_data(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f); // with a first map of 1 MiB
    static uint8_t verdicts[ROWS_MAX];
    for (uint64_t i = 0; i < 40; i++) { // 40 * 4096 * 16 bytes = 2.6 MB
        struct mor_dedup_run *run = judge(&f, i * ROWS_MAX, ROWS_MAX, HOUR_MS, verdicts);
        struct mor_state_batch *batch = begin_plain(&f, run);
        put_key(batch, i, i);
        apply(&f, batch, INT64_MIN);
    }
    fixture_reopen(&f);
    for (uint64_t i = 0; i < 40; i++) {
        mor_state_dedup_forget(f.state, judge(&f, i * ROWS_MAX, ROWS_MAX, HOUR_MS, verdicts));
        for (size_t row = 0; row < ROWS_MAX; row++)
            assert_int_equal(verdicts[row], MOR_DEDUP_STATE);
        assert_true(location_of(&f, i) == i);
    }
    struct mor_state_status status;
    mor_state_status(f.state, &status);
    assert_true(status.file_bytes > 2 << 20);
    fixture_done(&f);
}

// Freed pages are used again: the file does not grow for ever.
static void the_file_stays_bounded_while_buckets_come_and_go(void **context)
{
    (void)context;
    struct fixture f;
    fixture_init(&f);
    static uint8_t verdicts[ROWS_MAX];
    int64_t bytes_half = 0;
    for (uint64_t hour = 0; hour < 200; hour++) {
        apply_run(&f, judge(&f, hour * ROWS_MAX, 2000, (int64_t)hour * HOUR_MS, verdicts),
                  (int64_t)hour * HOUR_MS);
        struct mor_state_status status;
        mor_state_status(f.state, &status);
        if (hour == 100)
            bytes_half = status.file_bytes;
        if (hour == 199)
            assert_true(status.file_bytes <= bytes_half * 5 / 4);
    }
    fixture_done(&f);
}

static bool write_ballast(const char *folder, bool present)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/ballast", folder) > 0);
    if (!present) {
        assert_int_equal(unlink(path), 0);
        free(path);
        return true;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    free(path);
    assert_true(fd >= 0);
    static const char zeros[4096];
    while (write(fd, zeros, sizeof zeros) > 0) {
    }
    close(fd);
    return true;
}

static void a_full_disk_asks_for_a_retry_and_loses_nothing(void **context)
{
    (void)context;
    char *disk = check_folder();
    if (mount("tmpfs", disk, "tmpfs", 0, "size=4m") != 0) {
        print_message("skipped: no tmpfs can be mounted here\n");
        rmdir(disk);
        free(disk);
        skip();
    }
    struct fixture f = {0};
    f.folder = NULL;
    assert_true(asprintf(&f.folder, "%s/state", disk) > 0);
    f.options = (struct mor_state_options){.folder = f.folder,
                                           .table = "table-1",
                                           .dedup_by = "event_id",
                                           .dedup_window_ms = WINDOW_MS,
                                           .index = true,
                                           .merge_by_hand = true};
    fixture_open(&f);
    static uint8_t verdicts[ROWS_MAX];
    apply_run(&f, judge(&f, 0, ROWS_MAX, HOUR_MS, verdicts), INT64_MIN);
    write_ballast(disk, true);
    struct mor_state_batch *batch =
        begin_plain(&f, judge(&f, ROWS_MAX, ROWS_MAX, HOUR_MS, verdicts));
    struct mor_state_mark mark = mark_of(&f, INT64_MIN);
    for (int i = 0; i < 3; i++) {
        assert_fails(mor_state_batch_apply(f.state, batch, &mark, &err), MOR_RETRY, "full");
        mor_state_dedup_forget(f.state, judge_one(&f, 7, HOUR_MS, MOR_DEDUP_STATE));
        mor_state_dedup_forget(f.state, judge_one(&f, ROWS_MAX, HOUR_MS, MOR_DEDUP_IN_FLIGHT));
    }
    write_ballast(disk, false);
    assert_ok(mor_state_batch_apply(f.state, batch, &mark, &err));
    fixture_reopen(&f);
    assert_int_equal(f.outcome.condition, MOR_STATE_USABLE);
    mor_state_dedup_forget(f.state, judge(&f, 0, ROWS_MAX, HOUR_MS, verdicts));
    for (size_t i = 0; i < ROWS_MAX; i++)
        assert_int_equal(verdicts[i], MOR_DEDUP_STATE);
    mor_state_dedup_forget(f.state, judge(&f, ROWS_MAX, ROWS_MAX, HOUR_MS, verdicts));
    for (size_t i = 0; i < ROWS_MAX; i++)
        assert_int_equal(verdicts[i], MOR_DEDUP_STATE);
    fixture_done(&f);
    assert_int_equal(umount(disk), 0);
    rmdir(disk);
    free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_grows_with_the_data),
        cmocka_unit_test(the_file_stays_bounded_while_buckets_come_and_go),
        cmocka_unit_test(a_full_disk_asks_for_a_retry_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("state env", tests, NULL, NULL);
}
