// The REST catalog against a server of ours that loses answers, refuses, is slow, and forgets
// tokens.
#include "rest_mock.h"

static struct mor_error err;

struct fixture {
    struct rest_mock mock;
    struct iceberg_rest_options options;
    struct iceberg_catalog *catalog;
};

static void open_catalog(struct fixture *fixture)
{
    iceberg_catalog_free(fixture->catalog);
    fixture->catalog = NULL;
    assert_ok(iceberg_catalog_open_rest(&fixture->options, &fixture->catalog, &err));
}

static int setup(void **state)
{
    struct fixture *fixture = mor_calloc(1, sizeof *fixture);
    err = MOR_ERROR_INIT;
    mock_start(&fixture->mock, "file:///w");
    fixture->options = (struct iceberg_rest_options){
        .name = "lake",
        .uri = fixture->mock.server.url,
        .warehouse = "w/1",
        .namespace_ = "a.b",
        .table = "orders",
        .timeout_ms = 400,
        .settle_ms = 3000,
    };
    open_catalog(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    iceberg_catalog_free(fixture->catalog);
    mock_stop(&fixture->mock);
    free(fixture);
    return 0;
}

static struct iceberg_metadata *create(struct fixture *fixture)
{
    struct iceberg_creation creation = fixture_creation(2, NULL);
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_catalog_create(fixture->catalog, &creation, &metadata, &err));
    fixture_creation_done(&creation);
    return metadata;
}

static struct iceberg_metadata *load(struct fixture *fixture)
{
    struct iceberg_metadata *metadata = NULL;
    assert_ok(iceberg_catalog_load(fixture->catalog, &metadata, &err));
    return metadata;
}

// Commits one snapshot on what is there; the server meets it with the fault `times` times.
static enum mor_status commit(struct fixture *fixture, int64_t id, enum mock_fault fault, int times)
{
    ICEBERG_AUTO_METADATA *base = load(fixture), *next = NULL;
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, id);
    fixture->mock.fault = fault;
    fixture->mock.faults_left = times;
    fixture->mock.commits = 0;
    err = MOR_ERROR_INIT;
    enum mor_status status = iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err);
    fixture->mock.faults_left = 0;
    if (status == MOR_OK) {
        struct iceberg_snapshot snapshot;
        assert_true(iceberg_metadata_snapshot(next, id, &snapshot));
    }
    return status;
}

static size_t snapshot_count(struct fixture *fixture)
{
    return iceberg_metadata_snapshot_count(fixture->mock.table);
}

static void a_table_is_created_loaded_and_committed_to(void **state)
{
    struct fixture *fixture = *state;
    struct iceberg_metadata *metadata = NULL;
    assert_fails(iceberg_catalog_load(fixture->catalog, &metadata, &err), MOR_NOT_FOUND,
                 "no table a.b.orders in catalog 'lake'");
    iceberg_metadata_unref(create(fixture));
    assert_int_equal(fixture->mock.namespaces, 2); // a, then a.b, which is there
    struct iceberg_creation creation = fixture_creation(2, NULL);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_create(fixture->catalog, &creation, &metadata, &err), MOR_CONFLICT,
                 "already");
    fixture_creation_done(&creation);
    metadata = load(fixture);
    assert_string_equal(metadata->location, "file:///w");
    assert_string_equal(iceberg_metadata_property(metadata, "owner"), "tests");
    assert_int_equal(commit(fixture, 9007199254740993, MOCK_NONE, 0), MOR_OK);
    bool moved = false;
    assert_ok(iceberg_catalog_has_moved(fixture->catalog, metadata, &moved, &err));
    assert_true(moved);
    iceberg_metadata_unref(metadata);
    metadata = load(fixture);
    assert_int_equal(metadata->current_snapshot_id, 9007199254740993);
    assert_ok(iceberg_catalog_has_moved(fixture->catalog, metadata, &moved, &err));
    assert_false(moved);
    iceberg_metadata_unref(metadata);
    assert_non_null(
        strcasestr(fixture->mock.server.last, "X-Iceberg-Access-Delegation: vended-credentials"));
}

static void a_commit_whose_answer_was_lost_is_found(void **state)
{
    struct fixture *fixture = *state;
    static const enum mock_fault faults[] = {MOCK_APPLY_500, MOCK_APPLY_CLOSE, MOCK_APPLY_504,
                                             MOCK_SLOW, MOCK_APPLY_500_OTHER};
    iceberg_metadata_unref(create(fixture));
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_int_equal(commit(fixture, (int64_t)i + 1, faults[i], 1), MOR_OK);
        assert_int_equal(fixture->mock.commits, 1);
    }
    assert_int_equal(snapshot_count(fixture), 6); // ours and the other's
}

static void a_commit_that_did_not_arrive_is_sent_again_and_applied_once(void **state)
{
    struct fixture *fixture = *state;
    static const enum mock_fault faults[] = {MOCK_REFUSE_500, MOCK_CLOSE, MOCK_REFUSE_503};
    fixture->mock.idempotency = true;
    iceberg_metadata_unref(create(fixture));
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fixture->mock.last_key[0] = '\0';
        fixture->mock.keys_differ = false;
        assert_int_equal(commit(fixture, (int64_t)i + 1, faults[i], 2), MOR_OK);
        assert_int_equal(fixture->mock.commits, 3);
        assert_int_equal(strlen(fixture->mock.last_key), 36);
        assert_false(fixture->mock.keys_differ);
    }
    assert_int_equal(snapshot_count(fixture), 3);
}

static void a_server_that_stays_silent_leaves_the_outcome_unknown(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    fixture->options.settle_ms = 500;
    open_catalog(fixture);
    assert_int_equal(commit(fixture, 1, MOCK_REFUSE_500, 100), MOR_UNKNOWN);
    assert_true(fixture->mock.commits >= 2);
    assert_int_equal(snapshot_count(fixture), 0);
    // what the caller does then: the same change once more
    assert_int_equal(commit(fixture, 1, MOCK_NONE, 0), MOR_OK);
    assert_int_equal(snapshot_count(fixture), 1);
}

static void a_conflict_is_told_unless_it_is_with_ourselves(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    assert_int_equal(commit(fixture, 1, MOCK_OTHER_FIRST, 1), MOR_CONFLICT);
    assert_int_equal(fixture->mock.commits, 1);
    assert_int_equal(snapshot_count(fixture), 1);
    // the same change sent twice by the caller: the second time it is there already
    ICEBERG_AUTO_METADATA *base = load(fixture), *next = NULL, *again = NULL;
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, 2);
    assert_ok(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err));
    assert_ok(iceberg_catalog_commit(fixture->catalog, base, &change, &again, &err));
    assert_int_equal(snapshot_count(fixture), 2);
}

static void a_plain_refusal_is_final(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    assert_int_equal(commit(fixture, 1, MOCK_FORBIDDEN, 1), MOR_FATAL);
    assert_non_null(strstr(err.message, "not yours"));
    assert_int_equal(commit(fixture, 1, MOCK_TOO_MANY, 1), MOR_RETRY);
    assert_int_equal(fixture->mock.commits, 1);
    assert_int_equal(snapshot_count(fixture), 0);
}

static void a_server_that_is_gone_is_asked_again_later(void **state)
{
    struct fixture *fixture = *state;
    ICEBERG_AUTO_METADATA *base = create(fixture), *next = NULL;
    ICEBERG_AUTO_CHANGE change;
    fixture_append(&change, base, 1);
    char uri[64];
    snprintf(uri, sizeof uri, "http://127.0.0.1:1");
    fixture->options.uri = uri;
    open_catalog(fixture);
    assert_fails(iceberg_catalog_commit(fixture->catalog, base, &change, &next, &err), MOR_RETRY,
                 "catalog 'lake'");
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_load(fixture->catalog, &next, &err), MOR_RETRY, "catalog 'lake'");
}

// ---- tokens -------------------------------------------------------------------------------------

static void tokens_are_fetched_and_renewed_and_the_same_body_is_sent(void **state)
{
    struct fixture *fixture = *state;
    snprintf(fixture->mock.token, sizeof fixture->mock.token, "none yet");
    fixture->options.credential = "me:s:cret";
    open_catalog(fixture);
    iceberg_metadata_unref(create(fixture));
    assert_int_equal(fixture->mock.tokens, 1);
    assert_int_equal(commit(fixture, 1, MOCK_EXPIRED, 1), MOR_OK);
    assert_int_equal(fixture->mock.tokens, 2);
    assert_int_equal(fixture->mock.commits, 2);
    assert_int_equal(commit(fixture, 2, MOCK_EXPIRED_419, 1), MOR_OK);
    assert_int_equal(fixture->mock.tokens, 3);
    assert_int_equal(snapshot_count(fixture), 2);
}

static void a_wrong_credential_is_told_without_it(void **state)
{
    struct fixture *fixture = *state;
    struct iceberg_metadata *metadata = NULL;
    fixture->options.credential = "me:very-secret";
    open_catalog(fixture);
    assert_fails(iceberg_catalog_load(fixture->catalog, &metadata, &err), MOR_FATAL,
                 "gives no token: who are you");
    assert_null(strstr(err.message, "very-secret"));
    fixture->options.credential = NULL;
    fixture->options.token = "wrong-token";
    snprintf(fixture->mock.token, sizeof fixture->mock.token, "right-token");
    open_catalog(fixture);
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_load(fixture->catalog, &metadata, &err), MOR_FATAL,
                 "token please");
    assert_null(strstr(err.message, "wrong-token"));
    fixture->options.token = "right-token";
    open_catalog(fixture);
    iceberg_metadata_unref(create(fixture));
}

static void options_that_cannot_be_right_are_refused(void **state)
{
    (void)state;
    struct iceberg_catalog *catalog = NULL;
    struct iceberg_rest_options options = {
        .name = "lake", .uri = "ftp://x", .namespace_ = "a", .table = "t"};
    assert_fails(iceberg_catalog_open_rest(&options, &catalog, &err), MOR_FATAL, "http://");
    options.uri = "http://x";
    options.credential = "no-colon";
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_open_rest(&options, &catalog, &err), MOR_FATAL, "id:secret");
    options.credential = NULL;
    options.namespace_ = "";
    err = MOR_ERROR_INIT;
    assert_fails(iceberg_catalog_open_rest(&options, &catalog, &err), MOR_FATAL, "namespace.table");
}

static void another_table_under_the_name_is_told(void **state)
{
    struct fixture *fixture = *state;
    iceberg_metadata_unref(create(fixture));
    iceberg_metadata_unref(fixture->mock.table);
    fixture->mock.table = NULL;
    struct iceberg_catalog *first = fixture->catalog;
    fixture->catalog = NULL;
    open_catalog(fixture);
    iceberg_metadata_unref(create(fixture));
    struct iceberg_metadata *metadata = NULL;
    assert_fails(iceberg_catalog_load(first, &metadata, &err), MOR_FATAL, "was replaced");
    iceberg_catalog_free(first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_table_is_created_loaded_and_committed_to),
        TEST(a_commit_whose_answer_was_lost_is_found),
        TEST(a_commit_that_did_not_arrive_is_sent_again_and_applied_once),
        TEST(a_server_that_stays_silent_leaves_the_outcome_unknown),
        TEST(a_conflict_is_told_unless_it_is_with_ourselves),
        TEST(a_plain_refusal_is_final),
        TEST(a_server_that_is_gone_is_asked_again_later),
        TEST(tokens_are_fetched_and_renewed_and_the_same_body_is_sent),
        TEST(a_wrong_credential_is_told_without_it),
        TEST(options_that_cannot_be_right_are_refused),
        TEST(another_table_under_the_name_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
