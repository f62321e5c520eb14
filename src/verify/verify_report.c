#include "verify_report.h"

#include <jansson.h>
#include <stdio.h>

static const char *const check_names[MOR_VERIFY_CHECK_COUNT] = {
    [MOR_VERIFY_LEDGER] = "ledger", [MOR_VERIFY_ROWS] = "rows",   [MOR_VERIFY_KEYS] = "keys",
    [MOR_VERIFY_FILES] = "files",   [MOR_VERIFY_KAFKA] = "kafka",
};

// ---- collecting ---------------------------------------------------------------------------------

struct mor_verify_report *mor_verify_report_new(void)
{
    struct mor_verify_report *report = mor_calloc(1, sizeof *report);
    mor_arena_init(&report->arena, 0, NULL);
    for (int i = 0; i < MOR_VERIFY_CHECK_COUNT; i++)
        report->checks[i].name = check_names[i];
    return report;
}

void mor_verify_report_free(struct mor_verify_report *report)
{
    if (!report)
        return;
    mor_arena_done(&report->arena);
    free(report->findings);
    free(report);
}

static bool is_listed(const struct mor_verify_report *report, enum mor_verify_check_name check,
                      const char *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < report->finding_count; i++)
        count += report->findings[i].check == check && strcmp(report->findings[i].kind, kind) == 0;
    return count < MOR_VERIFY_LISTED_MAX;
}

void mor_verify_report_add(struct mor_verify_report *report, enum mor_verify_check_name check,
                           bool is_warning, const char *kind, const struct mor_verify_place *place,
                           const char *format, ...)
{
    *(is_warning ? &report->checks[check].warning_count : &report->checks[check].finding_count) +=
        1;
    *(is_warning ? &report->warning_count : &report->wrong_count) += 1;
    if (!is_listed(report, check, kind))
        return;
    char text[1024];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    struct mor_arena *arena = &report->arena;
    report->findings =
        mor_realloc(report->findings, (report->finding_count + 1) * sizeof *report->findings);
    report->findings[report->finding_count++] = (struct mor_verify_finding){
        .check = check,
        .is_warning = is_warning,
        .kind = kind,
        .version = mor_arena_strdup(arena, place->version ? place->version : ""),
        .file = mor_arena_strdup(arena, place->file ? place->file : ""),
        .partition = place->partition,
        .offset_first = place->offset_first,
        .offset_next = place->offset_next,
        .text = mor_arena_strdup(arena, text),
    };
}

void mor_verify_report_count(struct mor_verify_report *report, enum mor_verify_check_name name,
                             const char *number, int64_t more)
{
    struct mor_verify_check *check = &report->checks[name];
    size_t i = 0;
    while (i < check->number_count && strcmp(check->numbers[i].name, number) != 0)
        i++;
    if (i == check->number_count) {
        if (i == MOR_VERIFY_NUMBERS_MAX)
            return;
        check->numbers[check->number_count++] = (struct mor_verify_number){.name = number};
    }
    check->numbers[i].value += more;
}

void mor_verify_report_why_not(struct mor_verify_report *report, enum mor_verify_check_name name,
                               const char *format, ...)
{
    char *to = report->checks[name].why_not;
    size_t used = strlen(to), capacity = sizeof report->checks[name].why_not;
    used += (size_t)snprintf(to + used, capacity - used, "%s", used > 0 ? "; " : "");
    if (used >= capacity - 1)
        return;
    va_list list;
    va_start(list, format);
    (void)vsnprintf(to + used, capacity - used, format, list);
    va_end(list);
}

// ---- printing -----------------------------------------------------------------------------------

static const char *state_of(const struct mor_verify_check *check)
{
    if (check->finding_count > 0)
        return "WRONG";
    return check->checked ? "right" : "not checked";
}

static void append_check(struct mor_buffer *text, const struct mor_verify_check *check)
{
    mor_buffer_printf(text, "%-7s %-11s", check->name, state_of(check));
    const char *comma = " ";
    for (size_t i = 0; i < check->number_count; i++) {
        mor_buffer_printf(text, "%s%s %lld", comma, check->numbers[i].name,
                          (long long)check->numbers[i].value);
        comma = ", ";
    }
    if (check->why_not[0])
        mor_buffer_printf(text, "%s%s", check->number_count > 0 ? "; " : " ", check->why_not);
    mor_buffer_append_u8(text, '\n');
}

static void append_finding(struct mor_buffer *text, const struct mor_verify_finding *finding)
{
    mor_buffer_printf(text, "%s [%s: %s]", finding->is_warning ? "warning" : "FINDING",
                      check_names[finding->check], finding->kind);
    if (finding->version[0])
        mor_buffer_printf(text, " commit %s", finding->version);
    if (finding->file[0])
        mor_buffer_printf(text, " file %s", finding->file);
    if (finding->partition >= 0)
        mor_buffer_printf(text, " partition %d", finding->partition);
    if (finding->offset_first >= 0)
        mor_buffer_printf(text, " offsets [%lld, %lld)", (long long)finding->offset_first,
                          (long long)finding->offset_next);
    mor_buffer_printf(text, ": %s\n", finding->text);
}

void mor_verify_report_text(const struct mor_verify_report *report, struct mor_buffer *text)
{
    for (int i = 0; i < MOR_VERIFY_CHECK_COUNT; i++)
        append_check(text, &report->checks[i]);
    for (size_t i = 0; i < report->finding_count; i++)
        append_finding(text, &report->findings[i]);
    int64_t all = report->wrong_count + report->warning_count;
    if (all > (int64_t)report->finding_count)
        mor_buffer_printf(text, "%lld more that are not listed\n",
                          (long long)(all - (int64_t)report->finding_count));
    mor_buffer_printf(text, "%s: %lld findings, %lld warnings, at commit %s\n",
                      report->wrong_count > 0 ? "WRONG" : "right", (long long)report->wrong_count,
                      (long long)report->warning_count,
                      report->version[0] ? report->version : "(none)");
}

static json_t *check_to_json(const struct mor_verify_check *check)
{
    json_t *numbers = json_object();
    for (size_t i = 0; i < check->number_count; i++)
        json_object_set_new(numbers, check->numbers[i].name, json_integer(check->numbers[i].value));
    return json_pack("{s:s, s:b, s:s, s:I, s:I, s:o}", "name", check->name, "checked",
                     check->checked, "why_not", check->why_not, "findings",
                     (json_int_t)check->finding_count, "warnings", (json_int_t)check->warning_count,
                     "numbers", numbers);
}

// Text that came from a damaged table may be no UTF-8.
static void set_text(json_t *object, const char *key, const char *text)
{
    json_t *value = json_string(text);
    json_object_set_new(object, key, value ? value : json_string("(not UTF-8)"));
}

static json_t *finding_to_json(const struct mor_verify_finding *finding)
{
    json_t *object = json_object();
    set_text(object, "check", check_names[finding->check]);
    json_object_set_new(object, "warning", json_boolean(finding->is_warning));
    set_text(object, "kind", finding->kind);
    if (finding->version[0])
        set_text(object, "commit", finding->version);
    if (finding->file[0])
        set_text(object, "file", finding->file);
    if (finding->partition >= 0)
        json_object_set_new(object, "partition", json_integer(finding->partition));
    if (finding->offset_first >= 0) {
        json_object_set_new(object, "offset_first", json_integer(finding->offset_first));
        json_object_set_new(object, "offset_next", json_integer(finding->offset_next));
    }
    set_text(object, "text", finding->text);
    return object;
}

void mor_verify_report_json(const struct mor_verify_report *report, struct mor_buffer *text)
{
    json_t *checks = json_array(), *findings = json_array();
    for (int i = 0; i < MOR_VERIFY_CHECK_COUNT; i++)
        json_array_append_new(checks, check_to_json(&report->checks[i]));
    for (size_t i = 0; i < report->finding_count; i++)
        json_array_append_new(findings, finding_to_json(&report->findings[i]));
    json_t *object = json_pack(
        "{s:b, s:s, s:I, s:I, s:o, s:o}", "right", report->wrong_count == 0, "version",
        report->version, "finding_count", (json_int_t)report->wrong_count, "warning_count",
        (json_int_t)report->warning_count, "checks", checks, "findings", findings);
    MOR_AUTO_FREE char *dump = json_dumps(object, JSON_INDENT(1));
    mor_buffer_printf(text, "%s\n", dump);
    json_decref(object);
}
