#include "parquet_test.h"
#include "pq_dict.h"

// Every index must lead back to its value, equal values to equal indexes.
static void check_indexes(const struct mor_pq_values *values, struct mor_pq_dict *dict)
{
    uint32_t *indexes = mor_calloc(values->count, sizeof *indexes);
    assert_int_equal(mor_pq_dict_index(dict, values, 0, values->count, SIZE_MAX, indexes),
                     values->count);
    for (size_t i = 0; i < values->count; i++) {
        size_t size, known_size;
        const uint8_t *value = mor_pq_values_at(values, i, &size);
        assert_true(indexes[i] < dict->values.count);
        const uint8_t *known = mor_pq_values_at(&dict->values, indexes[i], &known_size);
        assert_int_equal(size, known_size);
        assert_memory_equal(value, known, size);
    }
    free(indexes);
}

static void add_bytes(struct mor_pq_values *values, const void *bytes, size_t size)
{
    mor_buffer_append(&values->data, bytes, size);
    if (values->type == MOR_PQ_BYTE_ARRAY)
        mor_buffer_append_le32(&values->offsets, (uint32_t)values->data.size_bytes);
    values->count++;
}

static void values_of_every_width_get_their_indexes(void **state)
{
    (void)state;
    static const int32_t types[] = {MOR_PQ_INT32, MOR_PQ_INT64, MOR_PQ_DOUBLE, MOR_PQ_FLBA};
    for (size_t t = 0; t < 4; t++) {
        for (uint64_t distinct = 1; distinct <= 10000; distinct *= 10) {
            struct mor_pq_values values;
            struct mor_pq_dict dict;
            uint64_t seed = distinct;
            mor_pq_values_init(&values, types[t], 5, NULL);
            mor_pq_dict_init(&dict, types[t], 5, NULL);
            for (size_t i = 0; i < 20000; i++) {
                uint64_t value = noise(&seed) % distinct * 0x100000001;
                add_bytes(&values, &value, values.width);
            }
            check_indexes(&values, &dict);
            assert_true(dict.values.count <= distinct);
            mor_pq_dict_reset(&dict);
            assert_int_equal(dict.values.count, 0);
            check_indexes(&values, &dict);
            mor_pq_values_done(&values);
            mor_pq_dict_done(&dict);
        }
    }
}

static void texts_of_every_length_are_told_apart(void **state)
{
    (void)state;
    struct mor_pq_values values;
    struct mor_pq_dict dict;
    mor_pq_values_init(&values, MOR_PQ_BYTE_ARRAY, 0, NULL);
    mor_pq_dict_init(&dict, MOR_PQ_BYTE_ARRAY, 0, NULL);
    // Same bytes at both ends and another one in the middle, and zeroes of every length.
    char text[64] = {0};
    for (size_t size = 0; size <= 40; size++) {
        add_bytes(&values, text, size);
        for (size_t at = 0; at < size; at++) {
            text[at] = 'x';
            add_bytes(&values, text, size);
            add_bytes(&values, text, size);
            text[at] = 0;
        }
    }
    check_indexes(&values, &dict);
    assert_int_equal(dict.values.count, 41 + 40 * 41 / 2);
    mor_pq_values_done(&values);
    mor_pq_dict_done(&dict);
}

static void full_dictionary_says_how_far_it_came(void **state)
{
    (void)state;
    struct mor_pq_values values;
    struct mor_pq_dict dict;
    uint32_t indexes[100];
    mor_pq_values_init(&values, MOR_PQ_INT64, 0, NULL);
    mor_pq_dict_init(&dict, MOR_PQ_INT64, 0, NULL);
    for (int64_t i = 0; i < 100; i++)
        add_bytes(&values, &(int64_t){i % 50}, 8);
    assert_int_equal(mor_pq_dict_index(&dict, &values, 0, 100, 80, indexes), 10);
    assert_int_equal(dict.values.count, 10);
    assert_int_equal(mor_pq_dict_index(&dict, &values, 50, 10, 80, indexes), 10);
    mor_pq_values_done(&values);
    mor_pq_dict_done(&dict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_width_get_their_indexes),
        cmocka_unit_test(texts_of_every_length_are_told_apart),
        cmocka_unit_test(full_dictionary_says_how_far_it_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
