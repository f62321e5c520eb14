#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve_metrics.h"
#include "serve_rig.h"

static struct serve_view *view_of(bool hostile)
{
    struct rig_service service = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                  .state = MOR_SERVE_RUNNING,
                                  .step = "fetch",
                                  .trouble = "",
                                  .table_offset = 150,
                                  .hostile = hostile};
    struct serve_view *view = serve_view_new(mor_clock_wall_ms(), mor_clock_mono_ms());
    rig_snapshot(&service, &view->snapshot);
    struct serve_memory memory = {0};
    serve_view_derive(&memory, view);
    serve_memory_done(&memory);
    return view;
}

static char *metrics_of(bool hostile, enum serve_metrics_format format)
{
    struct serve_view *view = view_of(hostile);
    struct mor_buffer out = {0};
    serve_metrics_write(view, format, &out);
    serve_view_unref(view);
    return taken_text(&out);
}

static void known_facts_have_type_unit_help_and_value(void **state)
{
    (void)state;
    char *text = metrics_of(false, SERVE_METRICS_OPENMETRICS);
    assert_says(text, "# TYPE moraine_consumed_bytes counter\n"
                      "# UNIT moraine_consumed_bytes bytes\n"
                      "# HELP moraine_consumed_bytes ");
    assert_says(text, "\nmoraine_consumed_bytes_total{topic=\"orders\"} 16000\n");
    assert_says(text, "\nmoraine_rows_total{topic=\"orders\",outcome=\"inserted\"} 120\n");
    assert_says(text, "\nmoraine_lag_records{topic=\"orders\",partition=\"0\"} 50\n");
    assert_says(text, "\nmoraine_memory_limit_bytes 4000\n");
    assert_says(text, "\nmoraine_files_written_total{topic=\"orders\",kind=\"delta\"} 5\n");
    assert_says(text, "# TYPE moraine_build info\n");
    assert_says(text, "\nmoraine_build_info{version=\"0.0.1\",instance_name=\"rig-1\"} 1\n# EOF\n");
    free(text);
}

static void unknown_facts_are_left_out(void **state)
{
    (void)state;
    char *text = metrics_of(false, SERVE_METRICS_OPENMETRICS);
    static const char *const absent[] = {"duplicate", "compaction",      "cleaned",
                                         "state_",    "index_",          "rebalances",
                                         "freshness", "partition=\"1\"", "-9223372036854775808"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (strstr(text, absent[i]) != NULL)
            fail_msg("'%s' in: %s", absent[i], text);
    free(text);
}

static void histogram_is_cumulative_with_its_sum_and_count(void **state)
{
    (void)state;
    char *text = metrics_of(false, SERVE_METRICS_OPENMETRICS);
    assert_says(text, "# TYPE moraine_commit_duration_seconds histogram\n"
                      "# UNIT moraine_commit_duration_seconds seconds\n");
    assert_says(text, "moraine_commit_duration_seconds_bucket{topic=\"orders\",le=\"0.1\"} 3\n"
                      "moraine_commit_duration_seconds_bucket{topic=\"orders\",le=\"1.0\"} 5\n"
                      "moraine_commit_duration_seconds_bucket{topic=\"orders\",le=\"2.5\"} 6\n"
                      "moraine_commit_duration_seconds_bucket{topic=\"orders\",le=\"+Inf\"} 7\n"
                      "moraine_commit_duration_seconds_sum{topic=\"orders\"} 4.321\n"
                      "moraine_commit_duration_seconds_count{topic=\"orders\"} 7\n");
    free(text);
}

static void older_format_names_counters_whole_and_has_no_end_mark(void **state)
{
    (void)state;
    char *text = metrics_of(false, SERVE_METRICS_PROMETHEUS);
    assert_says(text, "# TYPE moraine_consumed_bytes_total counter\n");
    assert_says(text, "# TYPE moraine_build_info gauge\n");
    assert_null(strstr(text, "# EOF"));
    assert_null(strstr(text, "# UNIT"));
    free(text);
}

// Every line is what the format's grammar allows: a comment, or name, labels and a number; and each
// family stands in one block.
static void every_line_is_well_formed_and_families_do_not_mix(void **state)
{
    (void)state;
    char *text = metrics_of(true, SERVE_METRICS_OPENMETRICS);
    char family[128] = "";
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            (void)snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            continue;
        }
        if (line[0] == '#')
            continue;
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        const char *number = strrchr(line, ' ') + 1;
        char *end;
        (void)strtod(number, &end);
        assert_true(end != number && *end == '\0');
    }
    free(text);
}

// A view in which everything is known.
static struct serve_view *full_view(void)
{
    static struct mor_serve_requests requests[] = {{"put", "ok", 3}, {"get", "not_found", 1}};
    struct serve_view *view = view_of(false);
    struct mor_serve_topic *topic = &view->snapshot.topics[0];
    int64_t *facts = (int64_t *)(void *)&topic->facts;
    for (size_t i = 0; i < sizeof topic->facts / sizeof *facts; i++)
        facts[i] = 1;
    topic->freshness = topic->compaction_duration = topic->lateness = topic->commit_duration;
    view->topics[0].ready = false;
    view->snapshot.reloads_done = view->snapshot.reloads_refused = 1;
    view->snapshot.requests = requests;
    view->snapshot.request_count = 2;
    return view;
}

// Dashboards and rules hold on to these names and labels.
static void promised_names_are_there(void **state)
{
    (void)state;
    static const char *const promised[] = {
        "consumed_records_total{topic=",
        "consumed_bytes_total{topic=",
        "rows_total{topic=",
        "outcome=\"",
        "lag_records{topic=",
        "lag_seconds{topic=",
        "watermark_seconds{topic=",
        "watermark_lag_seconds{topic=",
        "commits_total{topic=",
        "result=\"",
        "commit_duration_seconds_bucket{topic=",
        "last_commit_timestamp_seconds{topic=",
        "freshness_seconds_bucket{topic=",
        "files_written_total{topic=",
        "bytes_written_total{topic=",
        "kind=\"",
        "delta_files{topic=",
        "file_groups{topic=",
        "compaction_pending{topic=",
        "compaction_duration_seconds_bucket{topic=",
        "compaction_bytes_total{topic=",
        "cleaned_files_total{topic=",
        "state_entries{topic=",
        "state_bytes{topic=",
        "index_lookups_total{topic=",
        "memory_used_bytes ",
        "memory_limit_bytes ",
        "paused_partitions{topic=",
        "dead_letters_total{topic=",
        "reason=\"event_time\"",
        "rebalances_total{topic=",
        "fenced_total{topic=",
        "schema_changes_total{topic=",
        "storage_requests_total{operation=\"put\",code=\"ok\"} 3",
        "storage_requests_total{operation=\"get\",code=\"not_found\"} 1",
        "lateness_seconds_bucket{topic=",
        "future_records_total{topic=",
        "build_info{"};
    struct serve_view *view = full_view();
    MOR_AUTO_BUFFER out = {0};
    serve_metrics_write(view, SERVE_METRICS_OPENMETRICS, &out);
    const char *text = mor_buffer_terminate(&out);
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++)
        assert_says(text, promised[i]);
    serve_view_unref(view);
}

// The manual names every metric that can be printed.
static void manual_names_every_metric(void **state)
{
    (void)state;
    MOR_AUTO_FREE char *path = mor_asprintf("%s/../../docs/monitoring.md", MORAINE_TEST_DATA);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char manual[32768];
    manual[fread(manual, 1, sizeof manual - 1, file)] = '\0';
    (void)fclose(file);

    struct serve_view *view = full_view();
    struct mor_buffer out = {0};
    serve_metrics_write(view, SERVE_METRICS_PROMETHEUS, &out);
    int count = 0;
    for (char *line = strtok(mor_buffer_terminate(&out), "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        static const char prefix[] = "# TYPE moraine_";
        if (strncmp(line, prefix, sizeof prefix - 1) != 0)
            continue;
        char name[128];
        (void)snprintf(name, sizeof name, "`%.*s`", (int)strcspn(line + sizeof prefix - 1, " "),
                       line + sizeof prefix - 1);
        assert_says(manual, name);
        count++;
    }
    assert_true(count >= 37);
    mor_buffer_done(&out);
    serve_view_unref(view);
}

static bool has_command(const char *name)
{
    char *command = mor_asprintf("command -v %s >/dev/null 2>&1", name);
    bool found = system(command) == 0; // NOLINT(cert-env33-c): constants of this test only
    free(command);
    return found;
}

static void promtool_finds_nothing_to_complain_about(void **state)
{
    (void)state;
    if (!has_command("promtool")) {
        print_message("skipped: promtool (package prometheus) is not here\n");
        skip();
    }
    for (int hostile = 0; hostile < 2; hostile++) {
        char *text = metrics_of(hostile != 0, SERVE_METRICS_PROMETHEUS);
        FILE *tool = popen("promtool check metrics 2>&1", "w"); // NOLINT(cert-env33-c)
        assert_non_null(tool);
        assert_true(fputs(text, tool) >= 0);
        assert_int_equal(pclose(tool), 0);
        free(text);
    }
}

static void strict_openmetrics_parser_takes_the_text(void **state)
{
    (void)state;
    static const char program[] =
        "import sys\n"
        "sys.path.append('/usr/lib/python3/dist-packages')\n"
        "try:\n"
        "    from prometheus_client.openmetrics.parser import text_string_to_metric_families as p\n"
        "except ImportError:\n"
        "    sys.exit(77)\n"
        "sys.exit(0 if len(list(p(sys.stdin.read()))) > 10 else 1)\n";
    char *command = mor_asprintf("python3 -c \"%s\"", program);
    char *text = metrics_of(true, SERVE_METRICS_OPENMETRICS);
    FILE *tool = popen(command, "w"); // NOLINT(cert-env33-c)
    assert_non_null(tool);
    (void)fputs(text, tool); // a parser that is not there does not read
    int result = WEXITSTATUS(pclose(tool));
    free(command);
    free(text);
    if (result == 77 || result == 127) {
        print_message("skipped: prometheus_client (python3-prometheus-client) is not here\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_facts_have_type_unit_help_and_value),
        cmocka_unit_test(unknown_facts_are_left_out),
        cmocka_unit_test(histogram_is_cumulative_with_its_sum_and_count),
        cmocka_unit_test(older_format_names_counters_whole_and_has_no_end_mark),
        cmocka_unit_test(every_line_is_well_formed_and_families_do_not_mix),
        cmocka_unit_test(promised_names_are_there),
        cmocka_unit_test(manual_names_every_metric),
        cmocka_unit_test(promtool_finds_nothing_to_complain_about),
        cmocka_unit_test(strict_openmetrics_parser_takes_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
