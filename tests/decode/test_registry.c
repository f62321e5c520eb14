// The registry's client against a small server that answers as Confluent's does.
#include "decode_test.h"

#include "http_server.h"
#include "moraine/avro.h"

// An order has items and a total, an item has a price; price and total are money.
static const char order_answer[] =
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Order\\\",\\\"namespace\\\":"
    "\\\"shop\\\","
    "\\\"fields\\\":[{\\\"name\\\":\\\"items\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\","
    "\\\"items\\\":\\\"Item\\\"}},"
    "{\\\"name\\\":\\\"total\\\",\\\"type\\\":[\\\"null\\\",\\\"money.Money\\\"]}]}\","
    "\"references\":[{\"name\":\"shop.Item\",\"subject\":\"item\",\"version\":2},"
    "{\"name\":\"money.Money\",\"subject\":\"money\",\"version\":1}]}";
static const char item_answer[] =
    "{\"id\":5,\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"shop.Item\\\","
    "\\\"fields\\\":["
    "{\\\"name\\\":\\\"price\\\",\\\"type\\\":\\\"money.Money\\\"}]}\","
    "\"references\":[{\"name\":\"money.Money\",\"subject\":\"money\",\"version\":1}]}";
static const char money_answer[] =
    "{\"id\":6,\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Money\\\","
    "\\\"namespace\\\":\\\"money\\\","
    "\\\"fields\\\":[{\\\"name\\\":\\\"cents\\\",\\\"type\\\":\\\"long\\\"}]}\"}";

enum mode { NORMAL, DOWN, BUSY, LOGIN, STRANGER, NOT_JSON };

static size_t handle(struct http_server *server, const char *request, char *answer, size_t capacity)
{
    switch ((enum mode)atomic_load(&server->mode)) {
    case DOWN:
        return http_answer(answer, capacity, "500 Oops",
                           "{\"error_code\":50001,\"message\":\"store\"}");
    case BUSY:
        return http_answer(answer, capacity, "429 Too Many Requests", "");
    case LOGIN:
        return http_answer(answer, capacity, "401 Unauthorized",
                           "{\"error_code\":40101,\"message\":\"who?\"}");
    case STRANGER: // some other server at that address
        return http_answer(answer, capacity, "404 Not Found", "<html>nothing here</html>");
    case NOT_JSON:
        return http_answer(answer, capacity, "200 OK", "<html>welcome</html>");
    case NORMAL:
        break;
    }
    if (strncmp(request, "GET /schemas/ids/7 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", "{\"schema\":\"\\\"long\\\"\"}");
    if (strncmp(request, "GET /schemas/ids/8 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schemaType\":\"PROTOBUF\",\"schema\":\"x\"}");
    if (strncmp(request, "GET /schemas/ids/9 ", 19) == 0)
        return http_answer(answer, capacity, "200 OK", order_answer);
    if (strncmp(request, "GET /schemas/ids/10 ", 20) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"schema\":\"\\\"n.Gone\\\"\",\"references\":[{\"name\":\"n.Gone\","
                           "\"subject\":\"gone\",\"version\":1}]}");
    if (strncmp(request, "GET /subjects/item/versions/2 ", 30) == 0)
        return http_answer(answer, capacity, "200 OK", item_answer);
    if (strncmp(request, "GET /subjects/money/versions/1 ", 31) == 0)
        return http_answer(answer, capacity, "200 OK", money_answer);
    if (strncmp(request, "GET /subjects/orders%2Feu-value/versions/latest ", 48) == 0)
        return http_answer(
            answer, capacity, "200 OK",
            "{\"subject\":\"orders/eu-value\",\"version\":3,\"id\":7,\"schema\":\"\\\"long\\\"\"}");
    if (strncmp(request, "GET /subjects/proto/", 20) == 0)
        return http_answer(answer, capacity, "200 OK",
                           "{\"id\":8,\"schemaType\":\"PROTOBUF\",\"schema\":\"x\"}");
    if (strncmp(request, "GET /subjects/", 14) == 0)
        return http_answer(answer, capacity, "404 Not Found",
                           "{\"error_code\":40401,\"message\":\"Subject not found\"}");
    return http_answer(answer, capacity, "404 Not Found",
                       "{\"error_code\":40403,\"message\":\"Schema not found\"}");
}

struct fixture {
    struct http_server server;
    struct mor_registry *registry;
    struct mor_arena arena;
    struct mor_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->err = MOR_ERROR_INIT;
    http_server_start(&f->server, handle);
    char url[80];
    snprintf(url, sizeof url, "%s//", f->server.url);
    struct mor_registry_options options = {.url = url, .timeout_ms = 3000};
    assert_int_equal(mor_registry_open(&options, &f->registry, &f->err), MOR_OK);
    mor_arena_init(&f->arena, 0, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mor_registry_free(f->registry);
    mor_arena_done(&f->arena);
    http_server_stop(&f->server);
    free(f);
    return 0;
}

static enum mor_status ask(struct fixture *f, int32_t id, char **text)
{
    struct mor_schema_text schema = {0};
    enum mor_status status =
        mor_registry_schema(f->registry, MOR_SCHEMA_AVRO, id, &f->arena, &schema, &f->err);
    *text = (char *)schema.text;
    return status;
}

static void test_schema_is_asked_for_once(void **state)
{
    struct fixture *f = *state;
    char *text;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(f, 7, &text), MOR_OK);
        assert_string_equal(text, "\"long\"");
    }
    assert_int_equal(atomic_load(&f->server.requests), 1);
    assert_non_null(strstr(f->server.last, "Accept: application/vnd.schemaregistry.v1+json"));
}

static void test_unknown_id_is_not_found_and_remembered(void **state)
{
    struct fixture *f = *state;
    char *text;
    assert_int_equal(ask(f, 5, &text), MOR_NOT_FOUND);
    assert_int_equal(ask(f, 5, &text), MOR_NOT_FOUND);
    assert_null(text);
    assert_int_equal(atomic_load(&f->server.requests), 1);
}

static void test_latest_gives_id_and_text(void **state)
{
    struct fixture *f = *state;
    struct mor_schema_text schema = {0};
    assert_int_equal(mor_registry_latest(f->registry, MOR_SCHEMA_AVRO, "orders/eu-value", &f->arena,
                                         &schema, &f->err),
                     MOR_OK);
    assert_int_equal(schema.id, 7);
    assert_string_equal(schema.text, "\"long\"");
    assert_int_equal(
        mor_registry_latest(f->registry, MOR_SCHEMA_AVRO, "nobody", &f->arena, &schema, &f->err),
        MOR_NOT_FOUND);
    assert_int_equal(
        mor_registry_latest(f->registry, MOR_SCHEMA_AVRO, "proto", &f->arena, &schema, &f->err),
        MOR_FATAL);
}

static void test_schemas_of_other_kinds_are_data(void **state)
{
    struct fixture *f = *state;
    char *text;
    assert_int_equal(ask(f, 8, &text), MOR_DATA);
    assert_non_null(strstr(f->err.message, "PROTOBUF"));
}

static void test_references_are_written_in_where_they_are_first_named(void **state)
{
    struct fixture *f = *state;
    char *text;
    assert_int_equal(ask(f, 9, &text), MOR_OK);
    struct mor_avro_schema *avro = NULL;
    struct mor_schema *table = NULL;
    assert_int_equal(mor_avro_schema_parse(text, strlen(text), &avro, &f->err), MOR_OK);
    assert_int_equal(mor_avro_schema_to_table(avro, &table, &f->err), MOR_OK);
    MOR_AUTO_BUFFER got = {0};
    for (size_t i = 0; i < table->root.child_count; i++) {
        mor_buffer_printf(&got, "%s ", table->root.children[i].name);
        mor_type_format(&table->root.children[i], &got);
        mor_buffer_append_u8(&got, ';');
    }
    assert_string_equal(mor_buffer_terminate(&got),
                        "items list<struct<price:struct<cents:long>>>;total struct<cents:long>;");
    assert_int_equal(atomic_load(&f->server.requests), 3);
    mor_avro_schema_free(avro);
    mor_schema_free(table);
}

static void test_reference_to_nothing_is_data(void **state)
{
    struct fixture *f = *state;
    char *text;
    assert_int_equal(ask(f, 10, &text), MOR_DATA);
    assert_non_null(strstr(f->err.message, "reference 'n.Gone'"));
    assert_int_equal(ask(f, 10, &text), MOR_DATA);
    assert_int_equal(atomic_load(&f->server.requests), 2);
}

static void test_failures_have_their_class_and_are_not_remembered(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum mode mode;
        enum mor_status status;
    } cases[] = {{DOWN, MOR_RETRY},
                 {BUSY, MOR_RETRY},
                 {LOGIN, MOR_FATAL},
                 {STRANGER, MOR_FATAL},
                 {NOT_JSON, MOR_RETRY}};
    char *text;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&f->server.mode, cases[i].mode);
        assert_int_equal(ask(f, 7, &text), cases[i].status);
        assert_non_null(strstr(f->err.message, "schema registry"));
    }
    atomic_store(&f->server.mode, NORMAL);
    assert_int_equal(ask(f, 7, &text), MOR_OK);
    atomic_store(&f->server.mode, DOWN); // what is known does not need the registry
    assert_int_equal(ask(f, 7, &text), MOR_OK);
}

static void test_url_of_another_kind_is_fatal(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_registry *registry = NULL;
    static const char *const urls[] = {NULL, "", "localhost:8081", "file:///tmp"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct mor_registry_options options = {.url = urls[i]};
        assert_int_equal(mor_registry_open(&options, &registry, &err), MOR_FATAL);
    }
}

static void *ask_often(void *argument)
{
    struct mor_registry *registry = argument;
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    for (int i = 0; i < 200; i++) {
        struct mor_error err = MOR_ERROR_INIT;
        struct mor_schema_text schema;
        if (mor_registry_schema(registry, MOR_SCHEMA_AVRO, i % 2 ? 7 : 5, &arena, &schema, &err) !=
            (i % 2 ? MOR_OK : MOR_NOT_FOUND))
            abort();
    }
    mor_arena_done(&arena);
    return NULL;
}

static void test_many_threads_share_one_answer(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, f->registry), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&f->server.requests), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_schema_is_asked_for_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_id_is_not_found_and_remembered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_latest_gives_id_and_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas_of_other_kinds_are_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references_are_written_in_where_they_are_first_named,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_reference_to_nothing_is_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures_have_their_class_and_are_not_remembered,
                                        setup, teardown),
        cmocka_unit_test(test_url_of_another_kind_is_fatal),
        cmocka_unit_test_setup_teardown(test_many_threads_share_one_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
