#include "serve_rig.h"

static int start(void **state)
{
    *state = rig_open("s3cret");
    return 0;
}

static int stop(void **state)
{
    rig_free(*state);
    return 0;
}

static void expect(const struct rig *rig, const char *method, const char *path, const char *headers,
                   int code, const char *words)
{
    char *answer = rig_ask(rig, method, path, headers);
    if (rig_code(answer) != code)
        fail_msg("%s %s: not %d but: %s", method, path, code, answer);
    assert_says(answer, words);
    free(answer);
}

// ---- reading ------------------------------------------------------------------------------------

static void livez_is_ok_while_the_main_loop_beats(void **state)
{
    expect(*state, "GET", "/livez", "", 200, "\r\n\r\nok\n");
}

static void livez_fails_when_the_main_loop_is_silent(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.heartbeat_age_ms = 60000;
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    expect(rig, "GET", "/livez", "", 503, "main loop gave no sign of life for 1 min");
}

static void livez_fails_when_a_topic_hangs(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.topic_silent_ms = 590000;
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    expect(rig, "GET", "/livez", "", 200, "ok");
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.topic_silent_ms = 601000;
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    expect(rig, "GET", "/livez", "", 503, "topic orders hangs in step 'fetch' for 10 min");
    assert_false(mor_serve_is_live(rig->serve));
}

static void livez_fails_when_no_snapshot_comes(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex); // a pipeline that holds its lock for ever
    (void)poll(NULL, 0, 2500);
    expect(rig, "GET", "/livez", "", 503, "no topic could be asked");
    expect(rig, "GET", "/status", "", 200, "orders"); // the last one is still told
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    expect(rig, "GET", "/livez", "", 200, "ok");
}

static void readyz_is_ok_when_nothing_waits(void **state)
{
    expect(*state, "GET", "/readyz", "", 200, "{\"ready\":true,\"not_ready\":[]}");
}

static void readyz_names_topic_step_time_and_error_of_a_failed_topic(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.state = MOR_SERVE_FAILED;
    rig->service.step = "failed";
    rig->service.trouble = "the table is gone";
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    char *answer = rig_ask(rig, "GET", "/readyz", "");
    assert_int_equal(rig_code(answer), 503);
    assert_says(answer, "\"ready\":false");
    assert_says(answer, "\"topic\":\"orders\",\"state\":\"failed\",\"step\":\"failed\"");
    assert_says(answer, "\"since\":\"2026-01-01T00:00:00Z\"");
    assert_says(answer, "\"last_error\":\"the table is gone\"");
    assert_says(answer, "an operator must act, since 2026-01-01T00:00:00Z (");
    free(answer);
}

static void readyz_names_the_step_of_a_topic_that_does_not_move(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.table_offset = 100;
    rig->service.step = "commit";
    rig->service.trouble = "no space left";
    pthread_mutex_unlock(&rig->service.mutex);
    (void)poll(NULL, 0, 300); // stuck_after_ms is 100
    rig_resample(rig);
    char *answer = rig_ask(rig, "GET", "/readyz", "");
    assert_int_equal(rig_code(answer), 503);
    assert_says(answer, "stuck in step 'commit': 100 records wait and no commit came, since 20");
    assert_says(answer, "Last error: no space left");
    free(answer);
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.table_offset = 150; // moves, though it still lags
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    expect(rig, "GET", "/readyz", "", 200, "\"ready\":true");
}

static void readyz_is_ok_while_an_operator_paused_the_topic(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.table_offset = 100;
    rig->service.state = MOR_SERVE_PAUSED;
    pthread_mutex_unlock(&rig->service.mutex);
    (void)poll(NULL, 0, 300);
    rig_resample(rig);
    expect(rig, "GET", "/readyz", "", 200, "\"ready\":true");
}

static void lag_tells_every_partition_and_null_for_what_is_not_known(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.table_offset = 150;
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    char *answer = rig_ask(rig, "GET", "/lag", "");
    assert_int_equal(rig_code(answer), 200);
    assert_says(answer, "Content-Type: application/json\r\n");
    assert_says(answer, "Cache-Control: no-store\r\n");
    assert_says(answer, "X-Content-Type-Options: nosniff\r\n");
    assert_says(answer, "\"topic\":\"orders\",\"lag_records\":50,\"lag_seconds\":");
    assert_says(answer, "{\"partition\":0,\"low\":0,\"high\":200,\"table_offset\":150,"
                        "\"lag_records\":50,\"lag_seconds\":");
    assert_says(answer, "{\"partition\":1,\"low\":null,\"high\":null,\"table_offset\":null,"
                        "\"lag_records\":null,\"lag_seconds\":null,");
    free(answer);
}

static void status_tells_what_the_page_shows(void **state)
{
    char *answer = rig_ask(*state, "GET", "/status", "");
    assert_int_equal(rig_code(answer), 200);
    static const char *const parts[] = {
        "\"instance\":\"rig-1\"",
        "\"memory\":{\"used_bytes\":1000,\"peak_bytes\":2000,\"limit_bytes\":4000}",
        "\"state\":\"running\"",
        "\"rows\":{\"read\":150,\"inserted\":120,\"updated\":20,\"deleted\":8,\"duplicate\":null,",
        "\"last_duration_seconds\":0.321",
        "\"table\":{\"location\":\"file:///var/lib/lake/orders\",\"format\":\"hudi\"",
        "\"dead_letters\":{\"count\":2,\"decode\":2,",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_says(answer, parts[i]);
    free(answer);
}

static void history_holds_the_points_that_were_sampled(void **state)
{
    expect(*state, "GET", "/history", "", 200, "{\"topics\":[{\"topic\":\"orders\",\"time_ms\":[1");
    expect(*state, "GET", "/history", "", 200, "\"read\":[150");
}

static void metrics_are_openmetrics_unless_only_the_older_format_is_accepted(void **state)
{
    static const char open[] = "Content-Type: application/openmetrics-text; version=1.0.0";
    expect(*state, "GET", "/metrics", "", 200, open);
    expect(*state, "GET", "/metrics", "", 200, "\n# EOF\n");
    expect(*state, "GET", "/metrics", "Accept: */*\r\n", 200, open);
    expect(*state, "GET", "/metrics",
           "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n",
           200, open);
    expect(*state, "GET", "/metrics", "Accept: text/plain;version=0.0.4\r\n", 200,
           "Content-Type: text/plain; version=0.0.4");
}

static void page_and_its_files_are_served_with_their_types(void **state)
{
    expect(*state, "GET", "/", "", 200, "Content-Type: text/html; charset=utf-8");
    expect(*state, "GET", "/", "", 200, "default-src 'none'; script-src 'self'");
    expect(*state, "GET", "/moraine.css", "", 200, "Content-Type: text/css");
    expect(*state, "GET", "/moraine.js", "", 200, "Content-Type: text/javascript");
    expect(*state, "GET", "/icon.svg", "", 200, "Content-Type: image/svg+xml");
    expect(*state, "GET", "/chart.js", "", 200, "Chart.js");
}

static void page_file_that_the_browser_has_is_not_sent_again(void **state)
{
    char *answer = rig_ask(*state, "GET", "/chart.js", "");
    char *tag = strstr(answer, "ETag: ");
    assert_non_null(tag);
    char header[128];
    (void)snprintf(header, sizeof header, "If-None-Match: %.18s\r\n", tag + 6);
    free(answer);
    answer = rig_ask(*state, "GET", "/chart.js", header);
    assert_int_equal(rig_code(answer), 304);
    assert_string_equal(rig_body(answer), "");
    free(answer);
}

static void head_answers_without_a_body(void **state)
{
    char *answer = rig_ask(*state, "HEAD", "/status", "");
    assert_int_equal(rig_code(answer), 200);
    assert_string_equal(rig_body(answer), "");
    free(answer);
}

static void texts_of_any_bytes_are_escaped(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_lock(&rig->service.mutex);
    rig->service.hostile = true;
    pthread_mutex_unlock(&rig->service.mutex);
    rig_resample(rig);
    static const char name[] =
        "\"a\\u0022b\\u005cc\\u003cd\\u003e\\u0026\\u000a\\u0001\\ufffd\xc3\xa4\"";
    expect(rig, "GET", "/status", "", 200, name);
    expect(rig, "GET", "/lag", "", 200, name);
    expect(rig, "GET", "/readyz", "", 503, name);
    expect(rig, "GET", "/readyz", "", 503, "\"\\u0022},\\u000a{\\u0022\\ufffd\"");
    expect(rig, "GET", "/metrics", "", 200,
           "moraine_commits_total{topic=\"a\\\"b\\\\c<d>&\\n\x01\xef\xbf\xbd\xc3\xa4\","
           "result=\"committed\"} 3\n");
}

// ---- paths and methods --------------------------------------------------------------------------

static void unknown_paths_are_not_found(void **state)
{
    static const char *const paths[] = {"/nothing",
                                        "/metrics/",
                                        "/livez/x",
                                        "//",
                                        "/../etc/passwd",
                                        "/topics",
                                        "/topics/orders",
                                        "/topics//flush",
                                        "/topics/orders/flush/more",
                                        "/topics/orders/drop"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expect(*state, "GET", paths[i], "", 404, "nothing at this path");
        expect(*state, "POST", paths[i], "Authorization: Bearer s3cret\r\nContent-Length: 0\r\n",
               404, "nothing at this path");
    }
}

static void wrong_methods_are_refused_with_the_right_ones(void **state)
{
    static const char *const paths[] = {"/livez", "/readyz", "/lag", "/metrics", "/status", "/"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expect(*state, "POST", paths[i], "Content-Length: 0\r\n", 405, "Allow: GET, HEAD\r\n");
        expect(*state, "DELETE", paths[i], "", 405, "Allow: GET, HEAD\r\n");
    }
    expect(*state, "GET", "/topics/orders/flush", "", 405, "Allow: POST\r\n");
}

// ---- verbs --------------------------------------------------------------------------------------

#define WITH_TOKEN "Authorization: Bearer s3cret\r\nContent-Length: 0\r\n"

static void verb_with_the_token_is_carried_out(void **state)
{
    struct rig *rig = *state;
    expect(rig, "POST", "/topics/orders/flush", WITH_TOKEN, 202,
           "{\"result\":\"words about 'orders'\"}");
    assert_int_equal(rig->service.verb_count, 1);
    assert_string_equal(rig->service.verb_topic, "orders");
    assert_int_equal(rig->service.verb, MOR_SERVE_FLUSH);
    expect(rig, "POST", "/topics/orders/resume", "authorization: bearer s3cret\r\n", 202, "result");
    assert_int_equal(rig->service.verb, MOR_SERVE_RESUME);
    expect(rig, "POST", "/topics/a%20b%2Ec/flush", WITH_TOKEN, 404, "words about 'a b.c'");
}

static void outcome_of_a_verb_decides_the_status(void **state)
{
    expect(*state, "POST", "/topics/others/flush", WITH_TOKEN, 404, "words about 'others'");
    expect(*state, "POST", "/topics/orders/pause", WITH_TOKEN, 409, "error");
    expect(*state, "POST", "/topics/orders/compact", WITH_TOKEN, 501, "error");
}

static void verb_with_a_wrong_token_is_unauthorized_and_not_carried_out(void **state)
{
    struct rig *rig = *state;
    static const char *const headers[] = {"",
                                          "Authorization: Bearer \r\n",
                                          "Authorization: Bearer s3cre\r\n",
                                          "Authorization: Bearer s3cret2\r\n",
                                          "Authorization: Bearer s3creT\r\n",
                                          "Authorization: Bearer s3crets3cret\r\n",
                                          "Authorization: Basic s3cret\r\n",
                                          "Authorization: s3cret\r\n"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        expect(rig, "POST", "/topics/orders/flush", headers[i], 401, "WWW-Authenticate: Bearer");
    assert_int_equal(rig->service.verb_count, 0);
}

static void verb_without_a_configured_token_is_forbidden(void **state)
{
    (void)state;
    const char *const tokens[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_open(tokens[i]);
        expect(rig, "POST", "/topics/orders/flush", WITH_TOKEN, 403, "no token is configured");
        expect(rig, "POST", "/topics/orders/flush", "Authorization: Bearer \r\n", 403, "no token");
        assert_int_equal(rig->service.verb_count, 0);
        rig_free(rig);
    }
}

// ---- limits -------------------------------------------------------------------------------------

static void small_body_is_dropped_and_a_large_one_refused(void **state)
{
    struct rig *rig = *state;
    char *request = mor_asprintf("POST /topics/orders/flush HTTP/1.1\r\nHost: x\r\nConnection: "
                                 "close\r\nAuthorization: Bearer s3cret\r\nContent-Length: "
                                 "5\r\n\r\nhello");
    char *answer = rig_raw(rig, request, strlen(request), 20000);
    assert_int_equal(rig_code(answer), 202);
    free(answer);
    free(request);
    expect(rig, "POST", "/topics/orders/flush",
           "Authorization: Bearer s3cret\r\nContent-Length: 4097\r\n", 413, "too large");
    expect(rig, "POST", "/topics/orders/flush",
           "Authorization: Bearer s3cret\r\nContent-Length: 9999999999999\r\n", 413, "too large");
    expect(rig, "POST", "/topics/orders/flush",
           "Authorization: Bearer s3cret\r\nTransfer-Encoding: chunked\r\n", 411, "Content-Length");
    assert_int_equal(rig->service.verb_count, 1);
}

static void headers_beyond_the_limit_are_refused(void **state)
{
    char *long_text = mor_calloc(1, 40001);
    memset(long_text, 'x', 40000);
    char *header = mor_asprintf("X-Long: %s\r\n", long_text);
    char *answer = rig_ask(*state, "GET", "/livez", header);
    assert_true(rig_code(answer) == 431 || rig_code(answer) == 413 || rig_code(answer) == 0);
    free(answer);
    long_text[0] = '/';
    answer = rig_ask(*state, "GET", long_text, "");
    assert_true(rig_code(answer) == 414 || rig_code(answer) == 0);
    free(answer);
    free(header);
    free(long_text);
    expect(*state, "GET", "/livez", "", 200, "ok");
}

static void two_hundred_connections_at_once_are_all_answered(void **state)
{
    enum { COUNT = 200 };
    int connections[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        connections[i] = rig_connect(*state);
    static const char request[] = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(send(connections[i], request, sizeof request - 1, MSG_NOSIGNAL),
                         sizeof request - 1);
    for (size_t i = 0; i < COUNT; i++) {
        char *answer = rig_receive(connections[i]);
        assert_int_equal(rig_code(answer), 200);
        assert_says(answer, "\"topic\":\"orders\"");
        free(answer);
    }
}

static void connections_beyond_the_limit_wait_for_their_turn(void **state)
{
    enum { COUNT = 300 }; // the limit is 256
    int connections[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        connections[i] = rig_connect(*state);
    for (size_t i = 0; i < COUNT - 1; i++)
        close(connections[i]);
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    (void)send(connections[COUNT - 1], request, sizeof request - 1, MSG_NOSIGNAL);
    char *answer = rig_receive(connections[COUNT - 1]);
    assert_int_equal(rig_code(answer), 200);
    free(answer);
}

// A byte every 50 ms: never silent, never done.
static void client_that_drips_is_cut_off_and_others_are_not(void **state)
{
    struct rig *rig = *state;
    int drip = rig_connect(rig), honest = rig_connect(rig);
    int64_t started_ms = mor_clock_mono_ms(), cut_ms = 0;
    static const char line[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    while (cut_ms == 0 && mor_clock_mono_ms() - started_ms < 8000) {
        struct pollfd poll_drip = {.fd = drip, .events = POLLIN | POLLRDHUP};
        (void)send(drip, started_ms % 2 ? "G" : "x", 1, MSG_NOSIGNAL);
        (void)send(honest, line, sizeof line - 1, MSG_NOSIGNAL);
        char answer[4096];
        assert_true(recv(honest, answer, sizeof answer, 0) > 0);
        if (poll(&poll_drip, 1, 50) > 0)
            cut_ms = mor_clock_mono_ms() - started_ms;
    }
    assert_true(cut_ms >= 2900 && cut_ms < 5000);
    close(drip);
    close(honest);
}

// ---- rubbish ------------------------------------------------------------------------------------

static uint64_t fuzz_state = 20260101;
static uint32_t fuzz_next(void)
{
    fuzz_state = fuzz_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(fuzz_state >> 33);
}

static const char *const seeds[] = {
    "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET /topics/%6frders/../%00%ff?a=b&c=%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "POST /topics/orders/flush HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
    "nope\r\nContent-Length: 3\r\n\r\nabc",
    "POST /topics/orders/pause HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HEAD /metrics HTTP/1.0\r\nAccept: text/plain\r\nCookie: a=b; c=\"d\"\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"1\"\r\nConnection: close\r\nX: a\r\n b\r\n\r\n",
};

static size_t fuzz_request(char *bytes, size_t capacity)
{
    static const char *const pieces[] = {"\r\n",
                                         "\n",
                                         "\r",
                                         ":",
                                         " ",
                                         "%",
                                         "\xff",
                                         "0",
                                         "-1",
                                         "99999999999999999999",
                                         "HTTP/9.9",
                                         "Content-Length: 1\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Host:",
                                         "\t"};
    const char *seed = seeds[fuzz_next() % (sizeof seeds / sizeof seeds[0])];
    size_t size = strlen(seed);
    memcpy(bytes, seed, size);
    uint32_t changes = 1 + fuzz_next() % 6;
    for (uint32_t i = 0; i < changes && size > 0; i++) {
        size_t at = fuzz_next() % size;
        switch (fuzz_next() % 4) {
        case 0:
            bytes[at] = (char)fuzz_next();
            break;
        case 1:
            memmove(bytes + at, bytes + at + 1, size - at - 1);
            size--;
            break;
        case 2:
            size = at;
            break;
        default: {
            const char *piece = pieces[fuzz_next() % (sizeof pieces / sizeof pieces[0])];
            size_t length = strlen(piece);
            if (size + length > capacity)
                break;
            memmove(bytes + at + length, bytes + at, size - at);
            memcpy(bytes + at, piece, length);
            size += length;
        }
        }
    }
    return size;
}

static void three_thousand_malformed_requests_leave_the_server_answering(void **state)
{
    struct rig *rig = *state;
    char bytes[4096];
    int refused = 0, silent = 0;
    for (int i = 0; i < 3000; i++) {
        size_t size = fuzz_request(bytes, sizeof bytes);
        // an unfinished request is waited for, as it should be: patience decides how long this
        // takes
        char *answer = rig_raw(rig, bytes, size, 4);
        int code = rig_code(answer);
        assert_true(code == 0 || (code >= 200 && code < 600));
        refused += code >= 400;
        silent += code == 0;
        free(answer);
        if (i % 500 == 0)
            expect(rig, "GET", "/livez", "", 200, "ok");
    }
    print_message("3000 requests: %d refused, %d without an answer\n", refused, silent);
    assert_true(refused > 500);
    assert_int_equal(rig->service.verb_count, 0); // none of them had the token
    expect(rig, "GET", "/livez", "", 200, "ok");
}

// ---- opening ------------------------------------------------------------------------------------

static void address_in_use_is_an_error_with_words(void **state)
{
    struct rig *rig = *state;
    struct mor_error err = MOR_ERROR_INIT;
    char *listen_on = mor_asprintf("127.0.0.1:%u", (unsigned)rig->port);
    struct mor_serve_options options = {
        .listen = listen_on, .context = &rig->service, .snapshot = rig_snapshot};
    struct mor_serve *second = NULL;
    assert_fails(mor_serve_open(&options, &second, &err), MOR_FATAL, "Address already in use");
    assert_null(second);
    free(listen_on);
}

static void server_ends_with_connections_open(void **state)
{
    (void)state;
    struct rig *rig = rig_open(NULL);
    int idle = rig_connect(rig), half = rig_connect(rig);
    (void)send(half, "GET /li", 7, MSG_NOSIGNAL);
    int64_t started_ms = mor_clock_mono_ms();
    rig_free(rig);
    assert_true(mor_clock_mono_ms() - started_ms < 5000);
    close(idle);
    close(half);
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(livez_is_ok_while_the_main_loop_beats),
        WITH_RIG(livez_fails_when_the_main_loop_is_silent),
        WITH_RIG(livez_fails_when_a_topic_hangs),
        WITH_RIG(livez_fails_when_no_snapshot_comes),
        WITH_RIG(readyz_is_ok_when_nothing_waits),
        WITH_RIG(readyz_names_topic_step_time_and_error_of_a_failed_topic),
        WITH_RIG(readyz_names_the_step_of_a_topic_that_does_not_move),
        WITH_RIG(readyz_is_ok_while_an_operator_paused_the_topic),
        WITH_RIG(lag_tells_every_partition_and_null_for_what_is_not_known),
        WITH_RIG(status_tells_what_the_page_shows),
        WITH_RIG(history_holds_the_points_that_were_sampled),
        WITH_RIG(metrics_are_openmetrics_unless_only_the_older_format_is_accepted),
        WITH_RIG(page_and_its_files_are_served_with_their_types),
        WITH_RIG(page_file_that_the_browser_has_is_not_sent_again),
        WITH_RIG(head_answers_without_a_body),
        WITH_RIG(texts_of_any_bytes_are_escaped),
        WITH_RIG(unknown_paths_are_not_found),
        WITH_RIG(wrong_methods_are_refused_with_the_right_ones),
        WITH_RIG(verb_with_the_token_is_carried_out),
        WITH_RIG(outcome_of_a_verb_decides_the_status),
        WITH_RIG(verb_with_a_wrong_token_is_unauthorized_and_not_carried_out),
        cmocka_unit_test(verb_without_a_configured_token_is_forbidden),
        WITH_RIG(small_body_is_dropped_and_a_large_one_refused),
        WITH_RIG(headers_beyond_the_limit_are_refused),
        WITH_RIG(two_hundred_connections_at_once_are_all_answered),
        WITH_RIG(connections_beyond_the_limit_wait_for_their_turn),
        WITH_RIG(client_that_drips_is_cut_off_and_others_are_not),
        WITH_RIG(three_thousand_malformed_requests_leave_the_server_answering),
        WITH_RIG(address_in_use_is_an_error_with_words),
        cmocka_unit_test(server_ends_with_connections_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
