#include "check.h"
#include "iceberg/iceberg_puffin.h"

#define URI_A "file:///lake/t/data/a.parquet"
#define URI_B "file:///lake/t/data/day=2026-01-01/b\"\\.parquet"

static size_t unhex(const char *text, uint8_t *bytes)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        unsigned value;
        assert_int_equal(sscanf(text, "%2x", &value), 1);
        bytes[size++] = (uint8_t)value;
        text++;
    }
    return size;
}

static struct mor_position_set *set_of(const uint64_t *positions, size_t count)
{
    struct mor_position_set *set = mor_position_set_new(NULL);
    for (size_t i = 0; i < count; i++)
        mor_position_set_add(set, positions[i]);
    return set;
}

// ---- one vector ---------------------------------------------------------------------------------

// Blobs as the Java library writes them.
static const struct {
    const char *hex;
    uint64_t positions[8];
    size_t count;
} golden[] = {
    {"0000000c d1d33964 0000000000000000 bf18480c", {0}, 0},
    {"0000002a d1d33964 0100000000000000 00000000 3a300000 01000000 0000 0400 10000000 0100 0300 "
     "0500 0700 0900 b3fb20be",
     {1, 3, 5, 7, 9},
     5},
    {"00000030 d1d33964 0100000000000000 00000000 3a300000 02000000 0000 0100 0080 0100 18000000 "
     "1c000000 6400 6500 6300 6400 15eb1c7c",
     {100, 101, (UINT64_C(1) << 31) + 99, (UINT64_C(1) << 31) + 100},
     4},
    {"00000022 d1d33964 0100000000000000 00000000 3a300000 01000000 0000 0000 10000000 0100 "
     "eebd85f4",
     {1},
     1},
};

static void vectors_have_the_bytes_of_other_implementations(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    for (size_t g = 0; g < sizeof golden / sizeof golden[0]; g++) {
        uint8_t bytes[128];
        size_t size = unhex(golden[g].hex, bytes);
        struct mor_position_set *set = set_of(golden[g].positions, golden[g].count), *read;
        MOR_AUTO_BUFFER written = {0};
        iceberg_vector_write(set, &written);
        assert_int_equal(written.size_bytes, size);
        assert_memory_equal(written.data, bytes, size);
        assert_ok(iceberg_vector_read(bytes, size, NULL, &read, &err));
        assert_int_equal(mor_position_set_count(read), golden[g].count);
        for (size_t i = 0; i < golden[g].count; i++)
            assert_true(mor_position_set_has(read, golden[g].positions[i]));
        mor_position_set_free(read);
        // the same without length and checksum
        assert_ok(iceberg_vector_read(bytes + 4, size - 8, NULL, &read, &err));
        assert_int_equal(mor_position_set_count(read), golden[g].count);
        mor_position_set_free(read);
        mor_position_set_free(set);
    }
}

static void a_vector_with_any_other_bit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t size = unhex(golden[1].hex, bytes);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_position_set *set;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(iceberg_vector_read(bytes, size, NULL, &set, &err), MOR_DATA);
        assert_true(strstr(err.message, "deletion vector") != NULL);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_position_set *set;
        uint8_t *exact = malloc(cut + 1); // so that reading past the end is seen
        memcpy(exact, bytes, cut);
        assert_int_equal(iceberg_vector_read(exact, cut, NULL, &set, &err), MOR_DATA);
        free(exact);
    }
}

// ---- files --------------------------------------------------------------------------------------

struct puffin_fixture {
    char *root;
    struct mor_store *store;
    struct mor_arena arena;
    struct mor_error err;
    struct iceberg_puffin puffin;
    struct iceberg_blob a, b;
};

static int setup(void **state)
{
    struct puffin_fixture *f = calloc(1, sizeof *f);
    f->root = check_folder();
    f->err = MOR_ERROR_INIT;
    mor_arena_init(&f->arena, 0, NULL);
    assert_int_equal(mor_store_open(f->root, true, &f->store, &f->err), MOR_OK);
    struct mor_position_set *a = set_of((const uint64_t[]){1, 3}, 2);
    struct mor_position_set *b = mor_position_set_new(NULL);
    for (uint64_t i = 0; i < 100000; i += 3)
        mor_position_set_add(b, i);
    iceberg_puffin_init(&f->puffin, NULL);
    iceberg_puffin_add(&f->puffin, URI_A, a, &f->a);
    iceberg_puffin_add(&f->puffin, URI_B, b, &f->b);
    iceberg_puffin_finish(&f->puffin);
    mor_position_set_free(a);
    mor_position_set_free(b);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct puffin_fixture *f = *state;
    iceberg_puffin_done(&f->puffin);
    mor_store_free(f->store);
    mor_arena_done(&f->arena);
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f->root);
    free(f);
    return 0;
}

static void footers_state_what_was_added(void **state)
{
    struct puffin_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    struct iceberg_puffin_blob *blobs;
    size_t count;
    assert_int_equal(f->a.offset, 4);
    assert_int_equal(f->a.size_bytes, 44);
    assert_int_equal(f->b.offset, 48);
    assert_ok(iceberg_puffin_footer(f->puffin.bytes.data, f->puffin.bytes.size_bytes, &f->arena,
                                    &blobs, &count, &err));
    assert_int_equal(count, 2);
    const char *const uris[] = {URI_A, URI_B};
    const struct iceberg_blob *const stated[] = {&f->a, &f->b};
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(blobs[i].type, ICEBERG_DELETION_VECTOR);
        assert_string_equal(blobs[i].data_file_uri, uris[i]);
        assert_int_equal(blobs[i].snapshot_id, -1);
        assert_int_equal(blobs[i].sequence_number, -1);
        assert_int_equal(blobs[i].offset, stated[i]->offset);
        assert_int_equal(blobs[i].size_bytes, stated[i]->size_bytes);
        assert_int_equal(blobs[i].cardinality, stated[i]->row_count);
        assert_null(blobs[i].compression_codec);
    }
}

static void an_empty_file_is_the_one_of_other_implementations(void **state)
{
    (void)state;
    struct iceberg_puffin puffin;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct iceberg_puffin_blob *blobs;
    size_t count;
    mor_arena_init(&arena, 0, NULL);
    iceberg_puffin_init(&puffin, NULL);
    iceberg_puffin_finish(&puffin);
    assert_ok(iceberg_puffin_footer(puffin.bytes.data, puffin.bytes.size_bytes, &arena, &blobs,
                                    &count, &err));
    assert_int_equal(count, 0);
    // the Java library's file without properties: 32 bytes
    static const char java[] = "PFA1PFA1{\"blobs\":[]}\x0c\0\0\0\0\0\0\0PFA1";
    assert_ok(iceberg_puffin_footer((const uint8_t *)java, sizeof java - 1, &arena, &blobs, &count,
                                    &err));
    assert_int_equal(sizeof java - 1, 32);
    assert_int_equal(count, 0);
    iceberg_puffin_done(&puffin);
    mor_arena_done(&arena);
}

static void vectors_are_read_from_their_place(void **state)
{
    struct puffin_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *set;
    assert_ok(mor_store_put_new(f->store, "data/x.puffin", f->puffin.bytes.data,
                                f->puffin.bytes.size_bytes, &err));
    assert_ok(iceberg_puffin_read_vector(f->store, "data/x.puffin", &f->b, NULL, &set, &err));
    assert_int_equal(mor_position_set_count(set), 33334);
    assert_int_equal(mor_position_set_last(set), 99999);
    mor_position_set_free(set);

    struct iceberg_blob wrong = f->b;
    wrong.row_count++;
    assert_fails(iceberg_puffin_read_vector(f->store, "data/x.puffin", &wrong, NULL, &set, &err),
                 MOR_DATA, "the table states 33335");
    wrong = f->b;
    wrong.size_bytes = INT64_MAX;
    assert_fails(iceberg_puffin_read_vector(f->store, "data/x.puffin", &wrong, NULL, &set, &err),
                 MOR_DATA, "not inside the file");
    wrong = f->b;
    wrong.offset = (int64_t)f->puffin.bytes.size_bytes;
    assert_fails(iceberg_puffin_read_vector(f->store, "data/x.puffin", &wrong, NULL, &set, &err),
                 MOR_DATA, "not inside the file");
    wrong = f->b;
    wrong.offset++;
    assert_fails(iceberg_puffin_read_vector(f->store, "data/x.puffin", &wrong, NULL, &set, &err),
                 MOR_DATA, "data/x.puffin");
    assert_fails(iceberg_puffin_read_vector(f->store, "data/y.puffin", &f->b, NULL, &set, &err),
                 MOR_NOT_FOUND, "data/y.puffin");
}

static enum mor_status footer_of(struct puffin_fixture *f, const char *json, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    mor_buffer_append_text(&bytes, "PFA1");
    mor_buffer_append(&bytes, "0123456789", 10); // what blobs may lie in
    mor_buffer_append_text(&bytes, "PFA1");
    mor_buffer_append_text(&bytes, json);
    mor_buffer_append_le32(&bytes, (uint32_t)strlen(json));
    mor_buffer_append_le32(&bytes, 0);
    mor_buffer_append_text(&bytes, "PFA1");
    struct iceberg_puffin_blob *blobs;
    size_t count;
    return iceberg_puffin_footer(bytes.data, bytes.size_bytes, &f->arena, &blobs, &count, err);
}

static void footers_that_lie_are_refused_with_words(void **state)
{
    struct puffin_fixture *f = *state;
    struct mor_error err = MOR_ERROR_INIT;
    assert_ok(footer_of(f, "{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":10}]}", &err));
    static const struct {
        const char *json, *words;
    } bad[] = {
        {"{", "lists no blobs"},
        {"{}", "lists no blobs"},
        {"{\"blobs\":{}}", "lists no blobs"},
        {"{\"blobs\":[7]}", "without type"},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":\"4\",\"length\":1}]}", "without type"},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":3,\"length\":1}]}", "before the footer"},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":11}]}", "before the footer"},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":-1}]}", "before the footer"},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":9223372036854775807,\"length\":1}]}",
         "before the footer"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(footer_of(f, bad[i].json, &err), MOR_DATA, bad[i].words);

    struct iceberg_puffin_blob *blobs;
    size_t count;
    uint8_t *bytes = f->puffin.bytes.data;
    size_t size = f->puffin.bytes.size_bytes;
    for (size_t cut = 0; cut < size; cut += cut < 40 ? 1 : 997)
        assert_int_equal(iceberg_puffin_footer(bytes, cut, &f->arena, &blobs, &count, &err),
                         MOR_DATA);
    bytes[size - 8] = 1;
    assert_fails(iceberg_puffin_footer(bytes, size, &f->arena, &blobs, &count, &err), MOR_DATA,
                 "compressed");
    bytes[size - 8] = 0;
    bytes[size - 9] = 0x7f; // of the footer's size
    assert_fails(iceberg_puffin_footer(bytes, size, &f->arena, &blobs, &count, &err), MOR_DATA,
                 "has no footer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_have_the_bytes_of_other_implementations),
        cmocka_unit_test(a_vector_with_any_other_bit_is_refused),
        cmocka_unit_test_setup_teardown(footers_state_what_was_added, setup, teardown),
        cmocka_unit_test(an_empty_file_is_the_one_of_other_implementations),
        cmocka_unit_test_setup_teardown(vectors_are_read_from_their_place, setup, teardown),
        cmocka_unit_test_setup_teardown(footers_that_lie_are_refused_with_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
