#include <stdatomic.h>

#include "check.h"
#include "crew.h"

static atomic_int done[10000];

static enum mor_status mark(void *context, size_t index, struct mor_error *err)
{
    (void)err;
    assert_ptr_equal(context, done);
    atomic_fetch_add(&done[index], 1);
    return MOR_OK;
}

static void every_index_is_done_once_run_after_run(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    for (size_t threads = 0; threads < 4; threads++) {
        struct mor_crew *crew;
        assert_ok(mor_crew_new(threads, "test", &crew, &err));
        memset(done, 0, sizeof done);
        for (int run = 0; run < 20; run++)
            assert_ok(mor_crew_run(crew, 10000, mark, done, &err));
        for (size_t i = 0; i < 10000; i++)
            assert_int_equal(done[i], 20);
        assert_ok(mor_crew_run(crew, 0, mark, done, &err));
        mor_crew_free(crew);
    }
}

static enum mor_status fail_at_500(void *context, size_t index, struct mor_error *err)
{
    (void)context;
    return index == 500 ? mor_error_set(err, MOR_RETRY, "index %zu", index) : MOR_OK;
}

static void the_first_failure_is_returned_and_the_crew_goes_on(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_crew *crew;
    assert_ok(mor_crew_new(2, "test", &crew, &err));
    assert_fails(mor_crew_run(crew, 10000, fail_at_500, NULL, &err), MOR_RETRY, "index 500");
    assert_ok(mor_crew_run(crew, 400, fail_at_500, NULL, &err));
    mor_crew_free(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_done_once_run_after_run),
        cmocka_unit_test(the_first_failure_is_returned_and_the_crew_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
