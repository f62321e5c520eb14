// JSON records into columns. Corpora: tests/data/decode/json_valid (<name>.json and the row as
// <name>.expect) and json_invalid (<name>.expect is part of the message).
#include "decode_test.h"

#include <dirent.h>

#include "decode_corpus.h"
#include "random_rows.h"

static void read_file(const char *path, struct mor_buffer *ret)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        mor_buffer_append(ret, chunk, got);
    fclose(file);
}

// Nullable columns of no value are left out of the text, so that expectations stay short.
static char *short_row_text(const struct mor_batch *batch, size_t row)
{
    struct mor_buffer text = {0};
    for (size_t i = 0; i < batch->column_count; i++) {
        if (mor_vector_is_null(&batch->columns[i], row))
            continue;
        mor_buffer_printf(&text, "%s\"%s\":", text.size_bytes ? "," : "{",
                          batch->columns[i].field->name);
        mor_vector_format_json(&batch->columns[i], row, &text);
    }
    mor_buffer_append_text(&text, "}");
    return taken_text(&text);
}

static size_t run_corpus(const char *folder, bool valid)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = corpus_schema();
    struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    char path[1024];
    snprintf(path, sizeof path, "%s/decode/%s", MORAINE_TEST_DATA, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0)
            continue;
        char file[2048];
        MOR_AUTO_BUFFER text = {0};
        MOR_AUTO_BUFFER expect = {0};
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        read_file(file, &text);
        snprintf(file, sizeof file, "%s/%.*s.expect", path, (int)(dot - entry->d_name),
                 entry->d_name);
        read_file(file, &expect);
        char *wanted = mor_buffer_terminate(&expect);
        wanted[strcspn(wanted, "\n")] = '\0';
        enum mor_status status = decode_value(decoder, batch, text.data, text.size_bytes, &err);
        if (valid && status != MOR_OK)
            fail_msg("%s: %s", entry->d_name, err.message);
        if (!valid && (status != MOR_DATA || !*wanted || !strstr(err.message, wanted)))
            fail_msg("%s: '%s' is not in '%s'", entry->d_name, wanted,
                     status == MOR_OK ? "(accepted)" : err.message);
        if (valid) {
            MOR_AUTO_FREE char *got = short_row_text(batch, batch->row_count - 1);
            if (strcmp(got, wanted) != 0)
                fail_msg("%s:\n%s\n%s", entry->d_name, got, wanted);
        }
        count++;
    }
    closedir(dir);
    assert_ok(mor_batch_validate(batch, &err));
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
    return count;
}

static void test_valid_corpus_gives_the_expected_rows(void **state)
{
    (void)state;
    assert_true(run_corpus("json_valid", true) >= 20);
}

static void test_invalid_corpus_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_true(run_corpus("json_invalid", false) >= 60);
}

// ---- order of keys ------------------------------------------------------------------------------

static void test_any_order_and_any_missing_field_is_read(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema =
        schema_of("a", "long", "b_with_a_name_longer_than_thirty_two_bytes", "long", "c", "string",
                  "d", "long", "\xc3\xa9", "long", NULL);
    static const char *const keys[] = {
        "a",       "b_with_a_name_longer_than_thirty_two_bytes", "c", "d", "\xc3\xa9", "unknown",
        "unknown2"};
    struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    random_seed = 1;
    for (size_t round = 0; round < 20000; round++) {
        size_t order[7] = {0, 1, 2, 3, 4, 5, 6};
        size_t present = random_below(8);
        for (size_t i = 0; round % 3 && i < 7; i++) {
            size_t other = random_below(7), keep = order[i];
            order[i] = order[other];
            order[other] = keep;
        }
        MOR_AUTO_BUFFER text = {0};
        bool has[7] = {0};
        const char *blank = round % 2 ? " \t\r\n" : "";
        mor_buffer_append_u8(&text, '{');
        for (size_t i = 0; i < present; i++) {
            size_t k = order[i];
            has[k] = true;
            mor_buffer_printf(&text, "%s%s\"%s\"%s:%s", i ? "," : "", blank, keys[k], blank, blank);
            mor_buffer_printf(&text,
                              k == 2   ? "\"v%zu\""
                              : k >= 5 ? "[{\"x\":%zu}]"
                                       : "%zu",
                              k + round);
            mor_buffer_append_text(&text, blank);
        }
        mor_buffer_append_u8(&text, '}');
        if (decode_value(decoder, batch, text.data, text.size_bytes, &err) != MOR_OK)
            fail_msg("%s: %s", mor_buffer_terminate(&text), err.message);
        size_t row = batch->row_count - 1;
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(mor_vector_is_null(&batch->columns[k], row), !has[k]);
            if (has[k] && k != 2)
                assert_int_equal(mor_vector_i64(&batch->columns[k], row), k + round);
        }
    }
    assert_ok(mor_batch_validate(batch, &err));
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

static void test_more_unknown_keys_than_are_remembered_are_skipped(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a!", "long", NULL);
    struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int round = 0; round < 3; round++) {
        MOR_AUTO_BUFFER text = {0};
        mor_buffer_append_u8(&text, '{');
        for (int i = 0; i < 500; i++)
            mor_buffer_printf(&text, "\"k%d\":%d,", i * (round + 1), i);
        mor_buffer_append_text(&text, "\"a\":1}");
        assert_ok(decode_value(decoder, batch, text.data, text.size_bytes, &err));
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

// ---- round trips --------------------------------------------------------------------------------

static void check_damage(struct mor_decoder *decoder, struct mor_batch *to, const char *text)
{
    struct mor_error err = MOR_ERROR_INIT;
    size_t size = strlen(text);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(decode_value(decoder, to, text, cut, &err), MOR_DATA);
    MOR_AUTO_FREE char *copy = mor_strdup(text);
    for (size_t i = 0; i < size; i++) { // any outcome but a crash; rows taken back
        copy[i] = (char)random_bits();
        size_t rows = to->row_count;
        enum mor_status status = decode_value(decoder, to, copy, size, &err);
        assert_true(status == MOR_OK || status == MOR_DATA);
        mor_batch_truncate(to, rows);
        copy[i] = text[i];
    }
    assert_ok(mor_batch_validate(to, &err));
}

static void test_random_rows_come_back_and_damage_is_refused(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 300; number++) {
        struct mor_error err = MOR_ERROR_INIT;
        random_seed = number;
        struct mor_schema *schema = mor_schema_new("t");
        for (size_t i = 0, count = random_below(8) + 1; i < count; i++)
            add_random_field(schema, NULL, (char[]){'f', (char)('a' + i), 0}, 0);
        struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
        struct mor_batch *from = mor_batch_new(schema, NULL);
        struct mor_batch *to = mor_batch_new(schema, NULL);
        for (size_t row = 0; row < 10; row++) {
            for (size_t i = 0; i < from->column_count; i++)
                append_random(&from->columns[i]);
            from->row_count++;
            MOR_AUTO_FREE char *text = row_text(from, row);
            if (row == 0)
                check_damage(decoder, to, text);
            enum mor_status status = decode_value(decoder, to, text, strlen(text), &err);
            if (status != MOR_OK && strstr(err.message, "duplicate key in a map")) { // random keys
                mor_batch_truncate(from, row);
                row--;
                continue;
            }
            if (status != MOR_OK)
                fail_msg("seed %d: %s: %s", (int)number, err.message, text);
            MOR_AUTO_FREE char *again = row_text(to, row);
            assert_string_equal(again, text);
        }
        mor_batch_free(from);
        mor_batch_free(to);
        mor_decoder_free(decoder);
        mor_schema_free(schema);
    }
}

static void test_strings_of_all_lengths_and_places_of_escapes(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("s!", "string", NULL);
    struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
    static const struct {
        const char *json, *text;
    } pieces[] = {{"", ""},
                  {"\\n", "\n"},
                  {"\\u00e9", "\xc3\xa9"},
                  {"\xe2\x82\xac", "\xe2\x82\xac"},
                  {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
                  {"\\\\", "\\"},
                  {"\\\"", "\""}};
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (size_t size = 0; size < 70; size++) {
        for (size_t at = 0; at <= size; at++) {
            for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
                MOR_AUTO_BUFFER json = {0};
                MOR_AUTO_BUFFER text = {0};
                mor_buffer_append_text(&json, "{\"s\":\"");
                for (size_t i = 0; i <= size; i++) {
                    if (i == at) {
                        mor_buffer_append_text(&json, pieces[p].json);
                        mor_buffer_append_text(&text, pieces[p].text);
                    }
                    if (i < size) {
                        mor_buffer_append_u8(&json, (uint8_t)('a' + i % 26));
                        mor_buffer_append_u8(&text, (uint8_t)('a' + i % 26));
                    }
                }
                mor_buffer_append_text(&json, "\"}");
                assert_ok(decode_value(decoder, batch, json.data, json.size_bytes, &err));
                size_t got_size;
                const uint8_t *got =
                    mor_vector_bytes_at(&batch->columns[0], batch->row_count - 1, &got_size);
                assert_int_equal(got_size, text.size_bytes);
                assert_memory_equal(got, text.data, got_size);
            }
        }
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_schema *schema = schema_of("a", "long", "j", "json", NULL);
    struct mor_decoder *decoder = decoder_of(schema, (struct mor_decoder_options){0});
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    for (int depth = 1; depth < 200000; depth = depth < 70 ? depth + 1 : depth * 3) {
        for (int known = 0; known < 2; known++) {
            MOR_AUTO_BUFFER text = {0};
            mor_buffer_append_text(&text, known ? "{\"j\":" : "{\"unknown\":");
            for (int i = 0; i < depth; i++)
                mor_buffer_append_u8(&text, '[');
            for (int i = 0; i < depth; i++)
                mor_buffer_append_u8(&text, ']');
            mor_buffer_append_u8(&text, '}');
            enum mor_status status = decode_value(decoder, batch, text.data, text.size_bytes, &err);
            assert_int_equal(status, depth < 64 ? MOR_OK : MOR_DATA);
        }
    }
    mor_batch_free(batch);
    mor_decoder_free(decoder);
    mor_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_corpus_gives_the_expected_rows),
        cmocka_unit_test(test_invalid_corpus_is_refused_with_the_reason),
        cmocka_unit_test(test_any_order_and_any_missing_field_is_read),
        cmocka_unit_test(test_more_unknown_keys_than_are_remembered_are_skipped),
        cmocka_unit_test(test_random_rows_come_back_and_damage_is_refused),
        cmocka_unit_test(test_strings_of_all_lengths_and_places_of_escapes),
        cmocka_unit_test(test_depth_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
