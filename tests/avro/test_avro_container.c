// Object container files: our own with every codec, files written by others, damaged ones.
#include "avro_test.h"

#include <dirent.h>

static const char schema_json[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
    "{\"name\":\"b\",\"type\":\"string\"}]}";

struct seen {
    size_t count;
    struct mor_buffer text;
};

static enum mor_status collect(void *context, const struct mor_avro_schema *schema,
                               const uint8_t *datum, size_t size_bytes, struct mor_error *err)
{
    struct seen *seen = context;
    seen->count++;
    MOR_TRY(mor_avro_datum_to_json(schema, datum, size_bytes, &seen->text, err));
    mor_buffer_append_u8(&seen->text, '\n');
    return MOR_OK;
}

static void put_rows(struct mor_buffer *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "row %d of many", (int)i);
        mor_avro_put_long(data, i * 1000 - 5);
        mor_avro_put_bytes(data, text, (size_t)length);
    }
}

static void write_file(enum mor_avro_codec codec, int64_t count, struct mor_buffer *file)
{
    struct mor_error err = MOR_ERROR_INIT;
    static const struct mor_avro_metadata metadata[] = {{"who", "me", 2}, {"empty", "", 0}};
    struct mor_avro_container_options options = {
        .schema_json = schema_json, .codec = codec, .metadata = metadata, .metadata_count = 2};
    MOR_AUTO_BUFFER data = {0};
    put_rows(&data, count);
    assert_ok(mor_avro_container_encode(&options, &data, count, file, &err));
}

static void test_every_codec_is_read_back(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    for (int codec = MOR_AVRO_CODEC_NULL; codec <= MOR_AVRO_CODEC_ZSTANDARD; codec++) {
        for (int64_t count = 0; count < 5000; count = count * 7 + 1) {
            MOR_AUTO_BUFFER file = {0};
            write_file((enum mor_avro_codec)codec, count, &file);
            struct seen seen = {0};
            assert_ok(mor_avro_container_read(file.data, file.size_bytes, collect, &seen, &err));
            assert_int_equal(seen.count, count);
            if (count > 0)
                assert_memory_equal(seen.text.data, "{\"a\":-5,\"b\":\"row 0 of many\"}\n", 29);
            mor_buffer_done(&seen.text);
            const uint8_t *value;
            size_t size;
            assert_ok(mor_avro_container_metadata(file.data, file.size_bytes, "who", &value, &size,
                                                  &err));
            assert_int_equal(size, 2);
            assert_memory_equal(value, "me", 2);
            assert_int_equal(
                mor_avro_container_metadata(file.data, file.size_bytes, "no", &value, &size, &err),
                MOR_NOT_FOUND);
        }
    }
}

static void test_plain_file_holds_the_schema_verbatim(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    const char *spaced = " { \"type\" : \"string\" , \"avro.java.string\" : \"String\" } ";
    MOR_AUTO_BUFFER data = {0};
    MOR_AUTO_BUFFER file = {0};
    mor_avro_put_bytes(&data, "x", 1);
    mor_avro_container_write(spaced, &data, 1, &file);
    const uint8_t *value;
    size_t size;
    assert_ok(mor_avro_container_metadata(file.data, file.size_bytes, "avro.schema", &value, &size,
                                          &err));
    assert_int_equal(size, strlen(spaced));
    assert_memory_equal(value, spaced, size);
    assert_int_equal(
        mor_avro_container_metadata(file.data, file.size_bytes, "avro.codec", &value, &size, &err),
        MOR_NOT_FOUND);
}

static enum mor_status stop(void *context, const struct mor_avro_schema *schema,
                            const uint8_t *datum, size_t size_bytes, struct mor_error *err)
{
    (void)schema, (void)datum, (void)size_bytes;
    ++*(int *)context;
    return mor_error_set(err, MOR_CONFLICT, "enough");
}

static void test_visitor_ends_the_reading(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    MOR_AUTO_BUFFER file = {0};
    write_file(MOR_AVRO_CODEC_NULL, 10, &file);
    int calls = 0;
    assert_int_equal(mor_avro_container_read(file.data, file.size_bytes, stop, &calls, &err),
                     MOR_CONFLICT);
    assert_int_equal(calls, 1);
}

// A cut file is refused, but for the places where a file may end: before a block.
static void test_cut_files_are_refused(void **state)
{
    (void)state;
    for (int codec = MOR_AVRO_CODEC_NULL; codec <= MOR_AVRO_CODEC_ZSTANDARD; codec++) {
        MOR_AUTO_BUFFER file = {0};
        write_file((enum mor_avro_codec)codec, 20, &file);
        size_t accepted = 0;
        for (size_t size = 0; size < file.size_bytes; size++) {
            struct mor_error err = MOR_ERROR_INIT;
            struct seen seen = {0};
            uint8_t *copy = mor_alloc(size + 1); // its own allocation, so that an over-read is seen
            memcpy(copy, file.data, size);
            enum mor_status status = mor_avro_container_read(copy, size, collect, &seen, &err);
            assert_true(status == MOR_OK || status == MOR_DATA);
            if (status == MOR_OK) {
                accepted++;
                assert_int_equal(seen.count, 0);
            }
            mor_buffer_done(&seen.text);
            free(copy);
        }
        assert_int_equal(accepted, 1);
    }
}

// Flips each bit. Compressed blocks without a checksum may decode to something else; the reading
// must end in an orderly way.
static void test_flipped_bits_do_no_harm(void **state)
{
    (void)state;
    for (int codec = MOR_AVRO_CODEC_NULL; codec <= MOR_AVRO_CODEC_ZSTANDARD; codec++) {
        MOR_AUTO_BUFFER file = {0};
        write_file((enum mor_avro_codec)codec, 5, &file);
        for (size_t bit = 0; bit < file.size_bytes * 8; bit++) {
            struct mor_error err = MOR_ERROR_INIT;
            struct seen seen = {0};
            file.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            enum mor_status status =
                mor_avro_container_read(file.data, file.size_bytes, collect, &seen, &err);
            assert_true(status == MOR_OK || status == MOR_DATA);
            mor_buffer_done(&seen.text);
            file.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

static void test_golden_manifests_are_read(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    const char *folder = MORAINE_GOLDEN "/iceberg/java/bunnies/metadata";
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("skipped: no golden files beside the checkout\n");
        skip();
    }
    size_t files = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".avro") != 0)
            continue;
        char path[2048];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        MOR_AUTO_BUFFER file = {0};
        read_whole_file(path, &file);
        struct seen seen = {0};
        assert_ok(mor_avro_container_read(file.data, file.size_bytes, collect, &seen, &err));
        assert_true(seen.count >= 1);
        assert_non_null(strstr(mor_buffer_terminate(&seen.text), "_path\":\""));
        mor_buffer_done(&seen.text);
        files++;
    }
    closedir(dir);
    assert_true(files >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_is_read_back),
        cmocka_unit_test(test_plain_file_holds_the_schema_verbatim),
        cmocka_unit_test(test_visitor_ends_the_reading),
        cmocka_unit_test(test_cut_files_are_refused),
        cmocka_unit_test(test_flipped_bits_do_no_harm),
        cmocka_unit_test(test_golden_manifests_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
