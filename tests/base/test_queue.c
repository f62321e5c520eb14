#include <pthread.h>

#include "check.h"
#include "moraine/base/queue.h"

static int numbers[100000];

static void full_queue_refuses_until_something_is_taken(void **state)
{
    (void)state;
    struct mor_queue *queue = mor_queue_new(2, 0);
    assert_true(mor_queue_try_push(queue, &numbers[0], 1));
    assert_true(mor_queue_try_push(queue, &numbers[1], 1));
    assert_false(mor_queue_try_push(queue, &numbers[2], 1));
    assert_ptr_equal(mor_queue_pop(queue, 0), &numbers[0]);
    assert_true(mor_queue_try_push(queue, &numbers[2], 1));
    assert_ptr_equal(mor_queue_pop(queue, 0), &numbers[1]);
    assert_ptr_equal(mor_queue_pop(queue, 0), &numbers[2]);
    assert_null(mor_queue_pop(queue, 0));
    mor_queue_free(queue);
}

static void byte_limit_lets_one_large_item_pass(void **state)
{
    (void)state;
    struct mor_queue *queue = mor_queue_new(10, 100);
    assert_true(mor_queue_try_push(queue, &numbers[0], 500));
    assert_false(mor_queue_try_push(queue, &numbers[1], 1));
    assert_non_null(mor_queue_pop(queue, 0));
    assert_true(mor_queue_try_push(queue, &numbers[1], 60));
    assert_false(mor_queue_try_push(queue, &numbers[2], 60));
    assert_int_equal(mor_queue_bytes(queue), 60);
    assert_non_null(mor_queue_pop(queue, 0));
    mor_queue_free(queue);
}

static void forced_items_pass_the_limit_in_order(void **state)
{
    (void)state;
    struct mor_queue *queue = mor_queue_new(1, 0);
    for (int i = 0; i < 100; i++)
        mor_queue_force_push(queue, &numbers[i], 0);
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(mor_queue_pop(queue, 0), &numbers[i]);
    mor_queue_free(queue);
}

static void closed_queue_gives_what_is_left_and_then_nothing(void **state)
{
    (void)state;
    struct mor_queue *queue = mor_queue_new(4, 0);
    assert_true(mor_queue_push(queue, &numbers[0], 0));
    mor_queue_close(queue);
    assert_false(mor_queue_push(queue, &numbers[1], 0));
    assert_ptr_equal(mor_queue_pop(queue, -1), &numbers[0]);
    assert_null(mor_queue_pop(queue, -1));
    mor_queue_free(queue);
}

struct transfer {
    struct mor_queue *queue;
    size_t first, count;
};

static void *push_all(void *argument)
{
    struct transfer *transfer = argument;
    for (size_t i = 0; i < transfer->count; i++)
        if (!mor_queue_push(transfer->queue, &numbers[transfer->first + i], 1))
            return argument;
    return NULL;
}

static void two_producers_and_a_consumer_lose_nothing(void **state)
{
    (void)state;
    memset(numbers, 0, sizeof numbers);
    struct mor_queue *queue = mor_queue_new(16, 0);
    struct transfer halves[2] = {{queue, 0, 50000}, {queue, 50000, 50000}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &halves[i]), 0);
    for (int i = 0; i < 100000; i++) {
        int *number = mor_queue_pop(queue, 10000);
        assert_non_null(number);
        ++*number;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(numbers[i], 1);
    mor_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_queue_refuses_until_something_is_taken),
        cmocka_unit_test(byte_limit_lets_one_large_item_pass),
        cmocka_unit_test(forced_items_pass_the_limit_in_order),
        cmocka_unit_test(closed_queue_gives_what_is_left_and_then_nothing),
        cmocka_unit_test(two_producers_and_a_consumer_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
