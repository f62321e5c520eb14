#include "ledger.h"

#include <jansson.h>
#include <stdio.h>

#include "moraine/source.h"

#define KEPT_COMMITS 1000
#define KEPT_MS      3600000
#define KEPT_BYTES   (512 << 20)

void mor_outcomes_add(struct mor_outcomes *sum, const struct mor_outcomes *more)
{
    sum->read += more->read;
    sum->inserted += more->inserted;
    sum->updated += more->updated;
    sum->deleted += more->deleted;
    sum->duplicate += more->duplicate;
    sum->late_dropped += more->late_dropped;
    sum->dead += more->dead;
    sum->filtered += more->filtered;
    sum->gap += more->gap;
}

void mor_ledger_init(struct mor_ledger *ledger)
{
    *ledger = (struct mor_ledger){.watermark_ms = NO_WATERMARK};
}

void mor_ledger_done(struct mor_ledger *ledger)
{
    free(ledger->progress);
    free(ledger->letters);
    mor_ledger_init(ledger);
}

static void *copy_array(const void *items, size_t count, size_t size)
{
    void *copy = mor_alloc(count * size);
    if (count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

void mor_ledger_copy(struct mor_ledger *to, const struct mor_ledger *from)
{
    struct mor_ledger copy = *from;
    copy.progress = copy_array(from->progress, from->progress_count, sizeof *from->progress);
    copy.letters = copy_array(from->letters, from->letters_count, sizeof *from->letters);
    mor_ledger_done(to);
    *to = copy;
}

static struct mor_letters_mark *find_letters(const struct mor_ledger *ledger, const char *instance)
{
    for (size_t i = 0; i < ledger->letters_count; i++)
        if (strcmp(ledger->letters[i].instance, instance) == 0)
            return &ledger->letters[i];
    return NULL;
}

int64_t mor_ledger_letters(const struct mor_ledger *ledger, const char *instance)
{
    const struct mor_letters_mark *mark = find_letters(ledger, instance);
    return mark != NULL ? mark->bytes : -1;
}

void mor_ledger_set_letters(struct mor_ledger *ledger, const char *instance, int64_t bytes)
{
    struct mor_letters_mark *mark = find_letters(ledger, instance);
    if (mark == NULL) {
        ledger->letters =
            mor_realloc(ledger->letters, (ledger->letters_count + 1) * sizeof *ledger->letters);
        mark = &ledger->letters[ledger->letters_count++];
        (void)snprintf(mark->instance, sizeof mark->instance, "%s", instance);
    }
    mark->bytes = bytes;
}

void mor_ledger_follow(struct mor_ledger *ledger, const struct mor_range *range,
                       int64_t max_lateness_ms)
{
    struct mor_progress *progress = mor_ledger_partition(ledger, range->partition);
    progress->next_offset = range->end;
    if (range->leader_epoch >= 0)
        progress->leader_epoch = range->leader_epoch;
    if (range->records > 0)
        progress->idle = false;
    if (range->highest_ms != NO_WATERMARK &&
        range->highest_ms - max_lateness_ms > progress->watermark_ms)
        progress->watermark_ms = range->highest_ms - max_lateness_ms;
}

void mor_ledger_advance_watermark(struct mor_ledger *ledger)
{
    int64_t least = INT64_MAX, greatest = NO_WATERMARK;
    for (size_t i = 0; i < ledger->progress_count; i++) {
        const struct mor_progress *progress = &ledger->progress[i];
        if (progress->watermark_ms == NO_WATERMARK)
            continue;
        if (progress->watermark_ms > greatest)
            greatest = progress->watermark_ms;
        if (!progress->idle && progress->watermark_ms < least)
            least = progress->watermark_ms;
    }
    int64_t reached = least != INT64_MAX ? least : greatest;
    if (reached > ledger->watermark_ms)
        ledger->watermark_ms = reached;
}

void mor_ledger_keep_keys(struct mor_ledger *ledger, int64_t bytes, int64_t now_ms)
{
    struct mor_kept_keys *keys = &ledger->keys;
    if (keys->from == 0) {
        *keys = (struct mor_kept_keys){ledger->number, ledger->number, now_ms, 0};
    } else if ((ledger->number - keys->next >= KEPT_COMMITS && now_ms - keys->next_ms >= KEPT_MS) ||
               keys->next_bytes >= KEPT_BYTES) {
        *keys = (struct mor_kept_keys){keys->next, ledger->number, now_ms, 0};
    }
    keys->next_bytes += bytes;
}

const struct mor_progress *mor_ledger_find(const struct mor_ledger *ledger, int32_t partition)
{
    for (size_t i = 0; i < ledger->progress_count; i++)
        if (ledger->progress[i].partition == partition)
            return &ledger->progress[i];
    return NULL;
}

struct mor_progress *mor_ledger_partition(struct mor_ledger *ledger, int32_t partition)
{
    size_t at = 0;
    while (at < ledger->progress_count && ledger->progress[at].partition < partition)
        at++;
    if (at < ledger->progress_count && ledger->progress[at].partition == partition)
        return &ledger->progress[at];
    ledger->progress =
        mor_realloc(ledger->progress, (ledger->progress_count + 1) * sizeof *ledger->progress);
    memmove(&ledger->progress[at + 1], &ledger->progress[at],
            (ledger->progress_count - at) * sizeof *ledger->progress);
    ledger->progress_count++;
    ledger->progress[at] = (struct mor_progress){.partition = partition,
                                                 .leader_epoch = -1,
                                                 .next_offset = MOR_OFFSET_NONE,
                                                 .watermark_ms = NO_WATERMARK};
    return &ledger->progress[at];
}

// ---- reading ------------------------------------------------------------------------------------

static bool partition_of_name(const char *name, int32_t *ret_partition)
{
    char *end;
    long number = strtol(name, &end, 10);
    *ret_partition = (int32_t)number;
    return *name != '\0' && *end == '\0' && number >= 0 && number <= INT32_MAX;
}

static bool parse_offsets(json_t *root, struct mor_ledger *ledger)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(root, "offsets"), name, value)
    {
        int32_t partition;
        json_t *offset = json_array_get(value, 0);
        json_t *epoch = json_array_get(value, 1);
        if (!partition_of_name(name, &partition) || !json_is_integer(offset) ||
            json_integer_value(offset) < 0)
            return false;
        struct mor_progress *progress = mor_ledger_partition(ledger, partition);
        progress->next_offset = json_integer_value(offset);
        progress->leader_epoch = json_is_integer(epoch) ? (int32_t)json_integer_value(epoch) : -1;
    }
    json_object_foreach(json_object_get(root, "watermarks_ms"), name, value)
    {
        int32_t partition;
        if (!partition_of_name(name, &partition) || !json_is_integer(value))
            return false;
        mor_ledger_partition(ledger, partition)->watermark_ms = json_integer_value(value);
    }
    size_t i;
    json_array_foreach(json_object_get(root, "idle"), i, value)
    {
        json_int_t partition = json_integer_value(value);
        if (!json_is_integer(value) || partition < 0 || partition > INT32_MAX)
            return false;
        mor_ledger_partition(ledger, (int32_t)partition)->idle = true;
    }
    return true;
}

static void parse_letters(json_t *letters, struct mor_ledger *ledger)
{
    const char *instance;
    json_t *bytes;
    json_object_foreach(letters, instance, bytes)
    {
        if (json_is_integer(bytes))
            mor_ledger_set_letters(ledger, instance, json_integer_value(bytes));
    }
}

static void copy_text(char *to, size_t capacity, json_t *from)
{
    (void)snprintf(to, capacity, "%s", json_is_string(from) ? json_string_value(from) : "");
}

enum mor_status mor_ledger_parse(const char *text, struct mor_ledger *ret_ledger,
                                 struct mor_error *err)
{
    struct mor_ledger ledger;
    mor_ledger_init(&ledger);
    if (text == NULL) {
        *ret_ledger = ledger;
        return MOR_OK;
    }
    json_error_t where;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return mor_error_set(err, MOR_FATAL,
                             "the table's 'moraine' property is not JSON: %s (character %d)",
                             where.text, where.position);
    bool right = json_integer_value(json_object_get(root, "v")) == 1 &&
                 json_is_object(json_object_get(root, "offsets")) && parse_offsets(root, &ledger);
    copy_text(ledger.cluster_id, sizeof ledger.cluster_id, json_object_get(root, "cluster"));
    copy_text(ledger.topic_id, sizeof ledger.topic_id, json_object_get(root, "topic_id"));
    copy_text(ledger.batch_id, sizeof ledger.batch_id, json_object_get(root, "batch"));
    copy_text(ledger.redrive_id, sizeof ledger.redrive_id, json_object_get(root, "redrive"));
    json_t *watermark = json_object_get(root, "watermark_ms");
    if (json_is_integer(watermark))
        ledger.watermark_ms = json_integer_value(watermark);
    parse_letters(json_object_get(root, "dead_letters"), &ledger);
    const char *salt = json_string_value(json_object_get(root, "dedup_salt"));
    ledger.dedup_salt = salt != NULL ? strtoull(salt, NULL, 16) : 0;
    ledger.number = json_integer_value(json_object_get(root, "number"));
    json_t *keys = json_object_get(root, "keys");
    ledger.keys = (struct mor_kept_keys){
        json_integer_value(json_array_get(keys, 0)), json_integer_value(json_array_get(keys, 1)),
        json_integer_value(json_array_get(keys, 2)), json_integer_value(json_array_get(keys, 3))};
    json_decref(root);
    if (!right) {
        mor_ledger_done(&ledger);
        return mor_error_set(err, MOR_FATAL,
                             "the table's 'moraine' property is not a ledger of version 1");
    }
    *ret_ledger = ledger;
    return MOR_OK;
}

// ---- writing ------------------------------------------------------------------------------------

static void append_watermarks(const struct mor_ledger *after, struct mor_buffer *json)
{
    if (after->watermark_ms != NO_WATERMARK)
        mor_buffer_printf(json, ",\"watermark_ms\":%lld", (long long)after->watermark_ms);
    const char *comma = "";
    mor_buffer_append_text(json, ",\"watermarks_ms\":{");
    for (size_t i = 0; i < after->progress_count; i++) {
        if (after->progress[i].watermark_ms == NO_WATERMARK)
            continue;
        mor_buffer_printf(json, "%s\"%d\":%lld", comma, after->progress[i].partition,
                          (long long)after->progress[i].watermark_ms);
        comma = ",";
    }
    mor_buffer_append_u8(json, '}');
}

static void append_text(struct mor_buffer *json, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    mor_buffer_append_text(json, quoted != NULL ? quoted : "\"\"");
    free(quoted);
    json_decref(string);
}

static void append_quoted(struct mor_buffer *json, const char *name, const char *text)
{
    mor_buffer_printf(json, ",\"%s\":", name);
    append_text(json, text);
}

static void append_idle(const struct mor_ledger *after, struct mor_buffer *json)
{
    const char *before = ",\"idle\":[";
    for (size_t i = 0; i < after->progress_count; i++) {
        if (!after->progress[i].idle)
            continue;
        mor_buffer_printf(json, "%s%d", before, after->progress[i].partition);
        before = ",";
    }
    if (*before == ',' && before[1] == '\0')
        mor_buffer_append_u8(json, ']');
}

static void append_letters(const struct mor_ledger *after, struct mor_buffer *json)
{
    if (after->letters_count == 0)
        return;
    mor_buffer_append_text(json, ",\"dead_letters\":{");
    for (size_t i = 0; i < after->letters_count; i++) {
        mor_buffer_append_text(json, i > 0 ? "," : "");
        append_text(json, after->letters[i].instance);
        mor_buffer_printf(json, ":%lld", (long long)after->letters[i].bytes);
    }
    mor_buffer_append_u8(json, '}');
}

static void append_outcomes(struct mor_buffer *json, const char *name,
                            const struct mor_outcomes *rows)
{
    mor_buffer_printf(
        json,
        ",\"%s\":{\"read\":%lld,\"inserted\":%lld,\"updated\":%lld,\"deleted\":%lld,"
        "\"duplicate\":%lld,\"late_dropped\":%lld,\"dead\":%lld,\"filtered\":%lld,\"gap\":%lld}",
        name, (long long)rows->read, (long long)rows->inserted, (long long)rows->updated,
        (long long)rows->deleted, (long long)rows->duplicate, (long long)rows->late_dropped,
        (long long)rows->dead, (long long)rows->filtered, (long long)rows->gap);
}

void mor_ledger_format(const struct mor_ledger *after, const struct mor_commit_facts *facts,
                       struct mor_buffer *json)
{
    char batch[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&facts->batch_id, batch);
    mor_buffer_printf(json, "{\"v\":1,\"batch\":\"%s\"", batch);
    append_quoted(json, "instance", facts->instance);
    append_quoted(json, "cluster", after->cluster_id);
    append_quoted(json, "topic", facts->topic);
    append_quoted(json, "topic_id", after->topic_id);
    mor_buffer_append_text(json, ",\"ranges\":{");
    for (size_t i = 0; i < facts->range_count; i++)
        mor_buffer_printf(json, "%s\"%d\":[%lld,%lld]", i > 0 ? "," : "",
                          facts->ranges[i].partition, (long long)facts->ranges[i].start,
                          (long long)facts->ranges[i].end);
    mor_buffer_append_text(json, "},\"offsets\":{");
    const char *comma = "";
    for (size_t i = 0; i < after->progress_count; i++) {
        const struct mor_progress *progress = &after->progress[i];
        if (progress->next_offset == MOR_OFFSET_NONE)
            continue;
        mor_buffer_printf(json, "%s\"%d\":[%lld,%d]", comma, progress->partition,
                          (long long)progress->next_offset, progress->leader_epoch);
        comma = ",";
    }
    mor_buffer_append_u8(json, '}');
    append_watermarks(after, json);
    static const struct mor_outcomes none;
    append_outcomes(json, "rows", facts->redrive ? &none : &facts->outcomes);
    if (facts->redrive) {
        append_outcomes(json, "redriven", &facts->outcomes);
        mor_buffer_printf(json, ",\"refused\":[%s]", facts->refused != NULL ? facts->refused : "");
    }
    mor_buffer_printf(json, ",\"late\":%lld,\"digest\":{", (long long)facts->late);
    for (size_t i = 0; i < facts->range_count; i++)
        mor_buffer_printf(json, "%s\"%d\":\"%016llx%016llx\"", i > 0 ? "," : "",
                          facts->ranges[i].partition,
                          (unsigned long long)facts->ranges[i].digest.high,
                          (unsigned long long)facts->ranges[i].digest.low);
    mor_buffer_append_u8(json, '}');
    mor_buffer_append_text(json, ",\"own\":[\"ranges\",\"rows\",\"late\",\"digest\"");
    mor_buffer_append_text(json, facts->redrive ? ",\"redriven\",\"refused\"]" : "]");
    if (facts->redrive || *after->redrive_id != '\0')
        append_quoted(json, "redrive", facts->redrive ? batch : after->redrive_id);
    append_idle(after, json);
    append_letters(after, json);
    if (after->dedup_salt != 0)
        mor_buffer_printf(json, ",\"dedup_salt\":\"%016llx\"",
                          (unsigned long long)after->dedup_salt);
    mor_buffer_printf(json, ",\"number\":%lld", (long long)after->number);
    if (after->keys.from > 0)
        mor_buffer_printf(json, ",\"keys\":[%lld,%lld,%lld,%lld]", (long long)after->keys.from,
                          (long long)after->keys.next, (long long)after->keys.next_ms,
                          (long long)after->keys.next_bytes);
    mor_buffer_append_u8(json, '}');
    (void)mor_buffer_terminate(json);
}

void mor_ledger_format_checkpoint(const struct mor_ledger *after, const char *topic,
                                  struct mor_buffer *text)
{
    mor_buffer_append_text(text, topic);
    for (size_t i = 0; i < after->progress_count; i++)
        if (after->progress[i].next_offset != MOR_OFFSET_NONE)
            mor_buffer_printf(text, ",%d:%lld", after->progress[i].partition,
                              (long long)after->progress[i].next_offset);
    (void)mor_buffer_terminate(text);
}

enum mor_status mor_ledger_check(const struct mor_commit_facts *facts, struct mor_error *err)
{
    int64_t offsets = 0;
    for (size_t i = 0; i < facts->range_count; i++)
        offsets += facts->ranges[i].end - facts->ranges[i].start;
    const struct mor_outcomes *rows = &facts->outcomes;
    int64_t outcomes = rows->inserted + rows->updated + rows->deleted + rows->duplicate +
                       rows->late_dropped + rows->dead + rows->filtered;
    if ((rows->read + rows->gap != offsets && !facts->redrive) || rows->read != outcomes)
        return mor_error_set(
            err, MOR_FATAL,
            "the ledger does not close: %lld offsets, %lld records read, %lld gaps, %lld outcomes; "
            "nothing was committed",
            (long long)offsets, (long long)rows->read, (long long)rows->gap, (long long)outcomes);
    return MOR_OK;
}
