#include "hudi/hudi_timeline.h"

#include <stdio.h>
#include <string.h>

#include "moraine/base/clock.h"
#include "moraine/base/hash.h"

#define LAYOUT_1_PREFIX ".hoodie"
#define LAYOUT_2_PREFIX ".hoodie/timeline"

static const char *const action_names[] = {
    [HUDI_ACTION_NONE] = "",
    [HUDI_ACTION_COMMIT] = "commit",
    [HUDI_ACTION_DELTACOMMIT] = "deltacommit",
    [HUDI_ACTION_COMPACTION] = "compaction",
    [HUDI_ACTION_LOGCOMPACTION] = "logcompaction",
    [HUDI_ACTION_CLEAN] = "clean",
    [HUDI_ACTION_ROLLBACK] = "rollback",
    [HUDI_ACTION_REPLACECOMMIT] = "replacecommit",
    [HUDI_ACTION_CLUSTERING] = "clustering",
    [HUDI_ACTION_SAVEPOINT] = "savepoint",
    [HUDI_ACTION_RESTORE] = "restore",
    [HUDI_ACTION_INDEXING] = "indexing",
};

const char *hudi_action_name(enum hudi_action action)
{
    return action_names[action];
}

enum hudi_action hudi_action_parse(const char *text, size_t length)
{
    for (size_t i = 1; i < sizeof action_names / sizeof action_names[0]; i++) {
        if (strlen(action_names[i]) == length && memcmp(action_names[i], text, length) == 0)
            return (enum hudi_action)i;
    }
    return HUDI_ACTION_NONE;
}

// ---- times --------------------------------------------------------------------------------------

bool hudi_time_is_valid(const char *text, size_t length)
{
    if (length != 17 && length != 14)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

void hudi_time_format(int64_t ms, char ret_time[HUDI_TIME_SIZE])
{
    int64_t days = ms / 86400000 - (ms % 86400000 < 0);
    int64_t rest = ms - days * 86400000;
    struct mor_civil date = mor_civil_from_days(days);
    snprintf(ret_time, HUDI_TIME_SIZE, "%04u%02u%02u%02u%02u%02u%03u", (unsigned)date.year % 10000,
             (unsigned)date.month, (unsigned)date.day, (unsigned)(rest / 3600000),
             (unsigned)(rest / 60000 % 60), (unsigned)(rest / 1000 % 60), (unsigned)(rest % 1000));
}

static int32_t digits(const char *text, int count)
{
    int32_t value = 0;
    while (count-- > 0)
        value = value * 10 + (*text++ - '0');
    return value;
}

int64_t hudi_time_parse(const char *time)
{
    int64_t days = mor_days_from_civil((struct mor_civil){
        .year = digits(time, 4), .month = digits(time + 4, 2), .day = digits(time + 6, 2)});
    int64_t seconds = digits(time + 8, 2) * 3600 + digits(time + 10, 2) * 60 + digits(time + 12, 2);
    return days * 86400000 + seconds * 1000 + (strlen(time) == 17 ? digits(time + 14, 3) : 0);
}

void hudi_time_next(const char *last, char ret_time[HUDI_TIME_SIZE])
{
    int64_t ms = mor_clock_wall_ms();
    if (*last) {
        // a time of 14 digits stands for its whole second
        int64_t after = hudi_time_parse(last) + (strlen(last) == 17 ? 1 : 1000);
        if (after > ms)
            ms = after;
    }
    hudi_time_format(ms, ret_time);
}

// ---- files --------------------------------------------------------------------------------------

static const char *prefix_of(int layout)
{
    return layout == 1 ? LAYOUT_1_PREFIX : LAYOUT_2_PREFIX;
}

char *hudi_instant_key(int layout, const char *time, enum hudi_action action, enum hudi_state state,
                       const char *completion)
{
    const char *prefix = prefix_of(layout);
    if (state == HUDI_COMPLETED) {
        if (layout == 1)
            return mor_asprintf("%s/%s.%s", prefix, time, action_names[action]);
        return mor_asprintf("%s/%s_%s.%s", prefix, time, completion, action_names[action]);
    }
    if (state == HUDI_INFLIGHT && action == HUDI_ACTION_COMMIT)
        return mor_asprintf("%s/%s.inflight", prefix, time);
    return mor_asprintf("%s/%s.%s.%s", prefix, time, action_names[action],
                        state == HUDI_REQUESTED ? "requested" : "inflight");
}

char *hudi_instant_completed_key(int layout, const struct hudi_instant *instant)
{
    return hudi_instant_key(layout, instant->time, instant->completed, HUDI_COMPLETED,
                            instant->completion);
}

struct parsed_name {
    char time[HUDI_TIME_SIZE];
    char completion[HUDI_TIME_SIZE];
    enum hudi_action action;
    enum hudi_state state;
};

// False for files that are no instants (properties, folders of other tools).
static bool parse_name(int layout, const char *name, struct parsed_name *ret_parsed)
{
    struct parsed_name parsed = {.state = HUDI_COMPLETED};
    const char *dot = strchr(name, '.');
    if (!dot)
        return false;
    size_t length = (size_t)(dot - name);
    const char *underscore = memchr(name, '_', length);
    size_t time_length = underscore ? (size_t)(underscore - name) : length;
    if (!hudi_time_is_valid(name, time_length))
        return false;
    memcpy(parsed.time, name, time_length);
    memcpy(parsed.completion, name, time_length);
    if (underscore) {
        size_t completion_length = length - time_length - 1;
        if (layout == 1 || !hudi_time_is_valid(underscore + 1, completion_length))
            return false;
        memset(parsed.completion, 0, sizeof parsed.completion);
        memcpy(parsed.completion, underscore + 1, completion_length);
    }
    const char *action = dot + 1;
    const char *state = strchr(action, '.');
    size_t action_length = state ? (size_t)(state - action) : strlen(action);
    if (!state && strcmp(action, "inflight") == 0) {
        parsed.action = HUDI_ACTION_COMMIT;
        parsed.state = HUDI_INFLIGHT;
        *ret_parsed = parsed;
        return true;
    }
    parsed.action = hudi_action_parse(action, action_length);
    if (parsed.action == HUDI_ACTION_NONE)
        return false;
    if (state && strcmp(state, ".requested") == 0)
        parsed.state = HUDI_REQUESTED;
    else if (state && strcmp(state, ".inflight") == 0)
        parsed.state = HUDI_INFLIGHT;
    else if (state || (layout == 2 && !underscore))
        return false;
    *ret_parsed = parsed;
    return true;
}

bool hudi_action_writes(enum hudi_action action)
{
    switch (action) {
    case HUDI_ACTION_COMMIT:
    case HUDI_ACTION_DELTACOMMIT:
    case HUDI_ACTION_COMPACTION:
    case HUDI_ACTION_LOGCOMPACTION:
    case HUDI_ACTION_REPLACECOMMIT:
    case HUDI_ACTION_CLUSTERING:
        return true;
    default:
        return false;
    }
}

static int compare_instants(const void *a, const void *b)
{
    return strcmp(((const struct hudi_instant *)a)->time, ((const struct hudi_instant *)b)->time);
}

static void later(char greatest[HUDI_TIME_SIZE], const char *time)
{
    if (strcmp(time, greatest) > 0)
        memcpy(greatest, time, HUDI_TIME_SIZE);
}

static void add_file(struct hudi_timeline *timeline, size_t *capacity,
                     const struct parsed_name *parsed)
{
    bool added = false;
    struct mor_map_entry *entry = mor_map_put_text(&timeline->by_time, parsed->time, &added);
    if (added) {
        if (timeline->count == *capacity) {
            *capacity = *capacity ? *capacity * 2 : 64;
            timeline->instants =
                mor_realloc(timeline->instants, *capacity * sizeof *timeline->instants);
        }
        struct hudi_instant *fresh = &timeline->instants[timeline->count];
        *fresh = (struct hudi_instant){0};
        memcpy(fresh->time, parsed->time, sizeof fresh->time);
        entry->value.number = (int64_t)timeline->count++;
    }
    struct hudi_instant *instant = &timeline->instants[entry->value.number];
    if (parsed->state == HUDI_COMPLETED) {
        instant->completed = parsed->action;
        memcpy(instant->completion, parsed->completion, sizeof instant->completion);
    } else {
        instant->pending = parsed->action;
        instant->requested |= parsed->state == HUDI_REQUESTED;
        instant->inflight |= parsed->state == HUDI_INFLIGHT;
    }
    later(timeline->last, parsed->time);
    later(timeline->last, parsed->completion);
}

void hudi_timeline_done(struct hudi_timeline *timeline)
{
    free(timeline->instants);
    mor_map_done(&timeline->by_time);
    *timeline = (struct hudi_timeline){0};
}

enum mor_status hudi_timeline_load(struct hudi_timeline *timeline, struct mor_store *store,
                                   int layout, struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    enum mor_status status =
        mor_store_list_names(store, prefix_of(layout), &arena, &objects, &count, err);
    if (status != MOR_OK) {
        mor_arena_done(&arena);
        return mor_error_wrap(err, "could not list the timeline");
    }
    struct hudi_timeline fresh = {.layout = layout};
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++) {
        struct parsed_name parsed;
        const char *slash = strrchr(objects[i].key, '/');
        if (!objects[i].is_prefix &&
            parse_name(layout, slash ? slash + 1 : objects[i].key, &parsed))
            add_file(&fresh, &capacity, &parsed);
    }
    mor_arena_done(&arena);
    if (fresh.count > 0)
        qsort(fresh.instants, fresh.count, sizeof *fresh.instants, compare_instants);
    for (size_t i = 0; i < fresh.count; i++) {
        const struct hudi_instant *instant = &fresh.instants[i];
        mor_map_put_text(&fresh.by_time, instant->time, NULL)->value.number = (int64_t)i;
        if (!*fresh.start &&
            (hudi_action_writes(instant->completed) || hudi_action_writes(instant->pending)))
            memcpy(fresh.start, instant->time, sizeof fresh.start);
    }
    hudi_timeline_done(timeline);
    *timeline = fresh;
    return MOR_OK;
}

const struct hudi_instant *hudi_timeline_find(const struct hudi_timeline *timeline,
                                              const char *time)
{
    const struct mor_map_entry *entry = mor_map_find_text(&timeline->by_time, time);
    return entry ? &timeline->instants[entry->value.number] : NULL;
}

bool hudi_timeline_is_committed(const struct hudi_timeline *timeline, const char *time)
{
    const struct hudi_instant *instant = hudi_timeline_find(timeline, time);
    if (instant)
        return instant->completed != HUDI_ACTION_NONE;
    return *timeline->start && strcmp(time, timeline->start) < 0;
}

const char *hudi_timeline_completion(const struct hudi_timeline *timeline, const char *time)
{
    const struct hudi_instant *instant = hudi_timeline_find(timeline, time);
    return instant && *instant->completion ? instant->completion : time;
}

void hudi_timeline_complete(struct hudi_timeline *timeline, const char *time,
                            enum hudi_action action, const char *completion)
{
    size_t at = timeline->count++;
    timeline->instants =
        mor_realloc(timeline->instants, timeline->count * sizeof *timeline->instants);
    for (; at > 0 && strcmp(timeline->instants[at - 1].time, time) > 0; at--) {
        timeline->instants[at] = timeline->instants[at - 1];
        mor_map_put_text(&timeline->by_time, timeline->instants[at].time, NULL)->value.number =
            (int64_t)at;
    }
    mor_map_put_text(&timeline->by_time, time, NULL)->value.number = (int64_t)at;
    struct hudi_instant *instant = &timeline->instants[at];
    *instant = (struct hudi_instant){
        .pending = action, .completed = action, .requested = true, .inflight = true};
    memcpy(instant->time, time, strlen(time) + 1);
    memcpy(instant->completion, completion, strlen(completion) + 1);
    if (hudi_action_writes(action) && (!*timeline->start || strcmp(time, timeline->start) < 0))
        memcpy(timeline->start, instant->time, sizeof timeline->start);
    later(timeline->last, instant->time);
    later(timeline->last, instant->completion);
}

static uint64_t instant_digest(const char *time, enum hudi_action action)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%s.%s", time, action_names[action]);
    return mor_hash64(text, (size_t)length);
}

uint64_t hudi_timeline_digest(const struct hudi_timeline *timeline)
{
    uint64_t digest = 1;
    for (size_t i = 0; i < timeline->count; i++) {
        const struct hudi_instant *instant = &timeline->instants[i];
        if (instant->completed != HUDI_ACTION_NONE)
            digest += instant_digest(instant->time, instant->completed);
        else if (instant->pending == HUDI_ACTION_COMPACTION)
            digest += instant_digest(instant->time, instant->pending);
    }
    return digest ? digest : 1;
}

uint64_t hudi_timeline_digest_add(uint64_t digest, const char *time, enum hudi_action action)
{
    digest += instant_digest(time, action);
    return digest ? digest : 1;
}
