#include "verify_ledger.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "moraine/base/map.h"

#define PROPERTY "moraine"

struct walking {
    struct mor_verify_ledger *ledger;
    struct mor_verify_report *report;
    const struct mor_commit_info *commit;  // at hand
    json_t *state;                         // its ledger
    json_t *newest;                        // the one before; NULL = none
    const struct mor_commit_info *commits; // all of them
    size_t at, newest_at;                  // of commit and newest in them
    struct mor_map batches;                // id -> its commit
    int64_t first_number;                  // of the oldest commit that is no rewrite
    int64_t watermark_ms;                  // INT64_MIN = none
    bool is_whole;                         // no commit was archived
    bool after_hole;                       // commits between `newest` and this one were
    size_t capacity, range_capacity, partition_capacity;
};

static struct mor_verify_place here(const struct walking *walk)
{
    struct mor_verify_place place = VERIFY_NOWHERE;
    place.version = walk->commit->version;
    return place;
}

static struct mor_verify_place place_of(const struct walking *walk, int32_t partition,
                                        int64_t first, int64_t next)
{
    struct mor_verify_place place = here(walk);
    place.partition = partition;
    place.offset_first = first;
    place.offset_next = next;
    return place;
}

#define FIND(walk_, kind_, place_, ...)                                                            \
    mor_verify_report_add((walk_)->report, MOR_VERIFY_LEDGER, false, kind_, place_, __VA_ARGS__)

// ---- partitions ---------------------------------------------------------------------------------

static struct mor_verify_partition *find_partition(const struct mor_verify_ledger *ledger,
                                                   int32_t partition)
{
    size_t low = 0, high = ledger->partition_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ledger->partitions[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < ledger->partition_count && ledger->partitions[low].partition == partition;
    return found ? &ledger->partitions[low] : NULL;
}

const struct mor_verify_partition *
mor_verify_ledger_partition(const struct mor_verify_ledger *ledger, int32_t partition)
{
    return find_partition(ledger, partition);
}

static struct mor_verify_partition *add_partition(struct walking *walk, int32_t partition,
                                                  int64_t next)
{
    struct mor_verify_ledger *ledger = walk->ledger;
    if (ledger->partition_count == walk->partition_capacity) {
        walk->partition_capacity = walk->partition_capacity ? walk->partition_capacity * 2 : 16;
        ledger->partitions =
            mor_realloc(ledger->partitions, walk->partition_capacity * sizeof *ledger->partitions);
    }
    size_t at = ledger->partition_count++;
    while (at > 0 && ledger->partitions[at - 1].partition > partition) {
        ledger->partitions[at] = ledger->partitions[at - 1];
        at--;
    }
    ledger->partitions[at] = (struct mor_verify_partition){
        .partition = partition, .first = next, .next = next, .watermark_ms = INT64_MIN};
    return &ledger->partitions[at];
}

static bool parse_partition(const char *name, int32_t *ret_partition)
{
    char *end;
    long number = strtol(name, &end, 10);
    *ret_partition = (int32_t)number;
    return *name >= '0' && *name <= '9' && *end == '\0' && number <= INT32_MAX;
}

// ---- one range ----------------------------------------------------------------------------------

static bool parse_half(const char *hex, uint64_t *ret_half)
{
    char text[17];
    memcpy(text, hex, 16);
    text[16] = '\0';
    *ret_half = strtoull(text, NULL, 16);
    return strspn(text, "0123456789abcdef") == 16;
}

static bool parse_digest(const json_t *text, struct mor_hash128 *ret_digest)
{
    const char *hex = json_string_value(text);
    return hex && strlen(hex) == 32 && parse_half(hex, &ret_digest->high) &&
           parse_half(hex + 16, &ret_digest->low);
}

static void add_range(struct walking *walk, const struct mor_verify_range *range)
{
    struct mor_verify_ledger *ledger = walk->ledger;
    if (ledger->range_count == walk->range_capacity) {
        walk->range_capacity = walk->range_capacity ? walk->range_capacity * 2 : 64;
        ledger->ranges = mor_realloc(ledger->ranges, walk->range_capacity * sizeof *ledger->ranges);
    }
    ledger->ranges[ledger->range_count++] = *range;
}

// Continues the partition by [start, end); says where it does not.
static void continue_partition(struct walking *walk, const struct mor_verify_range *range)
{
    struct mor_verify_partition *partition = find_partition(walk->ledger, range->partition);
    if (!partition)
        partition = add_partition(walk, range->partition, range->start);
    if (range->start > partition->next && !walk->after_hole) {
        struct mor_verify_place place =
            place_of(walk, range->partition, partition->next, range->start);
        FIND(walk, "gap", &place,
             "the commit begins at offset %" PRId64 ", the one before ended at %" PRId64
             ": %" PRId64 " offsets are in no commit",
             range->start, partition->next, range->start - partition->next);
    } else if (range->start < partition->next) {
        int64_t end = range->end < partition->next ? range->end : partition->next;
        struct mor_verify_place place = place_of(walk, range->partition, range->start, end);
        FIND(walk, "overlap", &place,
             "the commit begins at offset %" PRId64 ", but commits before it reached %" PRId64
             ": %" PRId64 " offsets were committed twice",
             range->start, partition->next, end - range->start);
    }
    partition->next = range->end;
}

static void take_ranges(struct walking *walk, struct mor_verify_commit *commit)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(walk->state, "ranges"), name, value)
    {
        struct mor_verify_range range = {.commit = walk->ledger->commit_count};
        const json_t *start = json_array_get(value, 0), *end = json_array_get(value, 1);
        range.start = json_integer_value(start);
        range.end = json_integer_value(end);
        if (!parse_partition(name, &range.partition) || !json_is_integer(start) ||
            !json_is_integer(end) || range.start < 0 || range.end < range.start) {
            struct mor_verify_place place = here(walk);
            FIND(walk, "malformed", &place, "the range of partition '%.20s' is none", name);
            continue;
        }
        range.has_digest = parse_digest(
            json_object_get(json_object_get(walk->state, "digest"), name), &range.digest);
        if (!range.has_digest) {
            struct mor_verify_place place = place_of(walk, range.partition, range.start, range.end);
            FIND(walk, "malformed", &place, "the range has no digest");
        }
        continue_partition(walk, &range);
        add_range(walk, &range);
        commit->range_offsets += range.end - range.start;
    }
}

// ---- offsets and watermarks ---------------------------------------------------------------------

// The map of next offsets must be what the ranges lead to.
static void check_offsets(struct walking *walk)
{
    const char *name;
    json_t *value;
    json_t *offsets = json_object_get(walk->state, "offsets");
    json_object_foreach(offsets, name, value)
    {
        int32_t number;
        int64_t next = json_integer_value(json_array_get(value, 0));
        if (!parse_partition(name, &number) || !json_is_integer(json_array_get(value, 0))) {
            struct mor_verify_place place = here(walk);
            FIND(walk, "malformed", &place, "the offset of partition '%.20s' is none", name);
            continue;
        }
        struct mor_verify_partition *partition = find_partition(walk->ledger, number);
        if (!partition) {
            // carried forward from a commit that the history does not have any more
            if (!walk->newest || walk->after_hole) {
                add_partition(walk, number, next);
                walk->ledger->is_complete = false;
                continue;
            }
            struct mor_verify_place place = place_of(walk, number, next, next);
            FIND(walk, "offsets", &place,
                 "the commit states an offset for a partition that no commit reached");
            add_partition(walk, number, next);
        } else if (walk->after_hole && next > partition->next &&
                   !json_object_get(json_object_get(walk->state, "ranges"), name)) {
            partition->next = next;
        } else if (partition->next != next) {
            struct mor_verify_place place = place_of(walk, number, next, partition->next);
            FIND(walk, "offsets", &place,
                 "the commit states next offset %" PRId64 ", its ranges lead to %" PRId64, next,
                 partition->next);
            partition->next = next;
        }
    }
    for (size_t i = 0; i < walk->ledger->partition_count; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", walk->ledger->partitions[i].partition);
        if (json_object_get(offsets, text))
            continue;
        int64_t next = walk->ledger->partitions[i].next;
        struct mor_verify_place place =
            place_of(walk, walk->ledger->partitions[i].partition, next, next);
        FIND(walk, "offsets", &place, "the commit does not carry the partition's offset forward");
    }
}

static void check_watermarks(struct walking *walk)
{
    const json_t *whole = json_object_get(walk->state, "watermark_ms");
    struct mor_verify_place place = here(walk);
    if (json_is_integer(whole)) {
        int64_t watermark = json_integer_value(whole);
        if (watermark < walk->watermark_ms)
            FIND(walk, "watermark", &place,
                 "the watermark goes back from %" PRId64 " to %" PRId64 " ms", walk->watermark_ms,
                 watermark);
        walk->watermark_ms = watermark;
    } else if (walk->watermark_ms != INT64_MIN) {
        FIND(walk, "watermark", &place, "the watermark is lost");
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(walk->state, "watermarks_ms"), name, value)
    {
        int32_t number;
        struct mor_verify_partition *partition =
            parse_partition(name, &number) ? find_partition(walk->ledger, number) : NULL;
        if (!partition || !json_is_integer(value))
            continue;
        int64_t watermark = json_integer_value(value);
        if (watermark < partition->watermark_ms) {
            place.partition = number;
            FIND(walk, "watermark", &place,
                 "the partition's watermark goes back from %" PRId64 " to %" PRId64 " ms",
                 partition->watermark_ms, watermark);
        }
        partition->watermark_ms = watermark;
    }
}

// ---- identity and sums --------------------------------------------------------------------------

static void check_constant(struct walking *walk, const char *key, char *known, size_t capacity,
                           const char *what)
{
    const char *text = json_string_value(json_object_get(walk->state, key));
    if (!text || !*text)
        return; // not known to that client or broker
    struct mor_verify_place place = here(walk);
    if (*known && strcmp(known, text) != 0)
        FIND(walk, "identity", &place, "the %s changes from '%s' to '%.200s'", what, known, text);
    (void)snprintf(known, capacity, "%s", text);
}

static int64_t outcome(const json_t *rows, const char *name, bool *ret_good)
{
    const json_t *value = json_object_get(rows, name);
    *ret_good &= json_is_integer(value) && json_integer_value(value) >= 0;
    return json_integer_value(value);
}

static int64_t sum_of_outcomes(const json_t *rows, bool *ret_good)
{
    static const char *const outcomes[] = {"inserted",     "updated", "deleted", "duplicate",
                                           "late_dropped", "dead",    "filtered"};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        sum += outcome(rows, outcomes[i], ret_good);
    return sum;
}

// Dead letters that were sent again: their offsets are in the ranges of the commits that found them
// dead.
static void check_redriven(struct walking *walk)
{
    const json_t *rows = json_object_get(walk->state, "redriven");
    bool good = true;
    if (!json_is_object(rows))
        return;
    int64_t read = outcome(rows, "read", &good), sum = sum_of_outcomes(rows, &good);
    struct mor_verify_place place = here(walk);
    if (!good)
        FIND(walk, "malformed", &place, "a count of dead letters sent again is missing");
    if (sum != read)
        FIND(walk, "sums", &place,
             "%" PRId64 " dead letters were sent again and %" PRId64 " have an outcome", read, sum);
    walk->ledger->redriven += outcome(rows, "inserted", &good) + outcome(rows, "updated", &good);
}

static void check_sums(struct walking *walk, struct mor_verify_commit *commit)
{
    const json_t *rows = json_object_get(walk->state, "rows");
    bool good = true;
    commit->read = outcome(rows, "read", &good);
    commit->gap = outcome(rows, "gap", &good);
    commit->inserted = outcome(rows, "inserted", &good);
    commit->updated = outcome(rows, "updated", &good);
    commit->dead = outcome(rows, "dead", &good);
    int64_t sum = sum_of_outcomes(rows, &good);
    struct mor_verify_place place = here(walk);
    if (!good)
        FIND(walk, "malformed", &place, "a count of records is missing or negative");
    if (commit->read + commit->gap != commit->range_offsets)
        FIND(walk, "sums", &place,
             "%" PRId64 " records and %" PRId64 " gaps do not fill the %" PRId64
             " offsets of the commit",
             commit->read, commit->gap, commit->range_offsets);
    if (sum != commit->read)
        FIND(walk, "sums", &place, "%" PRId64 " records were read and %" PRId64 " have an outcome",
             commit->read, sum);
}

// ---- commits ------------------------------------------------------------------------------------

static const char *property_of(const struct mor_commit_info *commit)
{
    for (size_t i = 0; i < commit->property_count; i++)
        if (strcmp(commit->properties[i].key, PROPERTY) == 0)
            return commit->properties[i].value;
    return NULL;
}

// Commits that give rows another form; they carry the newest ledger along.
static bool is_rewrite(const struct mor_commit_info *commit)
{
    static const char *const operations[] = {
        "compaction", "compact", "logcompaction", "log_compact", "clustering", "cluster",
        "clean",      "replace", "replacecommit", "optimize",    "vacuum"};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(commit->operation, operations[i]) == 0)
            return true;
    return false;
}

static const char *batch_of(const json_t *state)
{
    const char *batch = json_string_value(json_object_get(state, "batch"));
    return batch && strlen(batch) == 36 ? batch : NULL;
}

static int64_t number_of(const json_t *state)
{
    return json_integer_value(json_object_get(state, "number"));
}

// Where each batch was committed.
static void find_batches(struct walking *walk, size_t count)
{
    walk->first_number = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const char *text = property_of(&walk->commits[i]);
        json_t *state = text && !is_rewrite(&walk->commits[i]) ? json_loads(text, 0, NULL) : NULL;
        bool added = false;
        struct mor_map_entry *entry =
            batch_of(state) ? mor_map_put_text(&walk->batches, batch_of(state), &added) : NULL;
        if (added)
            entry->value.number = (int64_t)i;
        if (added && walk->first_number == INT64_MAX)
            walk->first_number = number_of(state);
        json_decref(state);
    }
}

// A commit that is no batch must carry the newest ledger, without what that says of its own commit
// alone. It may stand before the commit of that ledger: formats order commits by when they began,
// and rewriting takes its time.
static void check_carried(struct walking *walk, const struct mor_map_entry *origin)
{
    struct mor_verify_place place = here(walk);
    if (!origin) {
        FIND(walk, "carried", &place, "the commit carries a ledger that no commit brought");
        return;
    }
    const struct mor_commit_info *commit = &walk->commits[origin->value.number];
    MOR_AUTO_FREE char *carried = mor_property_carried(property_of(commit));
    json_t *state = json_loads(carried, 0, NULL);
    if (!json_equal(state, walk->state))
        FIND(walk, "carried", &place, "the commit carries the ledger of commit %s changed",
             commit->version);
    else if ((size_t)origin->value.number < walk->newest_at)
        FIND(walk, "carried", &place,
             "the commit carries the ledger of commit %s, which was not the newest any more",
             commit->version);
    else
        mor_verify_report_count(walk->report, MOR_VERIFY_LEDGER, "carried", 1);
    json_decref(state);
}

// Whether commits between the one before and this one are gone because the table archived them.
// Files may still name older ones, which stay.
static bool follows_hole(const struct walking *walk)
{
    return !walk->is_whole && number_of(walk->newest) > 0 &&
           number_of(walk->state) > number_of(walk->newest) + 1;
}

// A commit that brings no batch: it gives rows another form, or deletes some on an operator's word.
static bool is_carrier(const struct walking *walk, const struct mor_map_entry *origin)
{
    if (is_rewrite(walk->commit))
        return true;
    return (size_t)origin->value.number != walk->at &&
           json_object_size(json_object_get(walk->state, "ranges")) == 0;
}

// True when the commit brings no ledger of its own.
static bool is_told(struct walking *walk)
{
    const char *batch = batch_of(walk->state);
    struct mor_verify_place place = here(walk);
    if (!batch) {
        FIND(walk, "malformed", &place, "the commit names no batch");
        return false;
    }
    const struct mor_map_entry *origin = mor_map_find_text(&walk->batches, batch);
    if (is_carrier(walk, origin)) {
        // What it carries is from before the history; or from a commit between that was archived,
        // perhaps after the ones that follow here, which began later.
        if (!origin && !walk->newest && number_of(walk->state) <= walk->first_number)
            return false;
        if (!origin && !walk->is_whole)
            return true;
        check_carried(walk, origin);
        return true;
    }
    if ((size_t)origin->value.number == walk->at)
        return false;
    FIND(walk, "doubled batch", &place, "commit %s brought the batch already",
         walk->commits[origin->value.number].version);
    return true;
}

static void take_commit(struct walking *walk)
{
    struct mor_verify_ledger *ledger = walk->ledger;
    struct mor_verify_place place = here(walk);
    if (json_integer_value(json_object_get(walk->state, "v")) != 1 ||
        !json_is_object(json_object_get(walk->state, "offsets"))) {
        FIND(walk, "malformed", &place, "the ledger is none of version 1");
        return;
    }
    if (is_told(walk))
        return;
    struct mor_verify_commit commit = {.version =
                                           mor_arena_strdup(&ledger->arena, walk->commit->version)};
    check_constant(walk, "cluster", ledger->cluster_id, sizeof ledger->cluster_id, "cluster");
    check_constant(walk, "topic_id", ledger->topic_id, sizeof ledger->topic_id, "topic's id");
    check_constant(walk, "topic", ledger->topic, sizeof ledger->topic, "topic");
    walk->after_hole = follows_hole(walk);
    ledger->hole_count += walk->after_hole;
    take_ranges(walk, &commit);
    check_offsets(walk);
    check_watermarks(walk);
    check_sums(walk, &commit);
    check_redriven(walk);
    if (ledger->commit_count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : 64;
        ledger->commits = mor_realloc(ledger->commits, walk->capacity * sizeof *ledger->commits);
    }
    ledger->commits[ledger->commit_count++] = commit;
    json_decref(walk->newest);
    walk->newest = json_incref(walk->state);
    walk->newest_at = walk->at;
}

static void visit_commit(struct walking *walk)
{
    const char *text = property_of(walk->commit);
    if (!text) {
        walk->ledger->foreign_count += !is_rewrite(walk->commit) && walk->commit->rows_written > 0;
        return;
    }
    json_error_t where;
    walk->state = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(walk->state)) {
        take_commit(walk);
    } else {
        struct mor_verify_place place = here(walk);
        FIND(walk, "malformed", &place, "the ledger is no JSON object: %s", where.text);
    }
    json_decref(walk->state);
    walk->state = NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct mor_verify_range *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static void index_ranges(struct mor_verify_ledger *ledger)
{
    if (ledger->range_count > 0)
        qsort(ledger->ranges, ledger->range_count, sizeof *ledger->ranges, by_place);
    for (size_t i = 0; i < ledger->range_count; i++) {
        struct mor_verify_partition *partition =
            find_partition(ledger, ledger->ranges[i].partition);
        if (partition->range_count++ == 0)
            partition->range_first = i;
    }
}

void mor_verify_ledger_read(const struct mor_commit_info *commits, size_t commit_count,
                            bool is_whole, struct mor_verify_report *report,
                            struct mor_verify_ledger *ret_ledger)
{
    *ret_ledger = (struct mor_verify_ledger){.is_complete = true};
    mor_arena_init(&ret_ledger->arena, 0, NULL);
    struct walking walk = {.ledger = ret_ledger,
                           .report = report,
                           .watermark_ms = INT64_MIN,
                           .commits = commits,
                           .is_whole = is_whole};
    find_batches(&walk, commit_count);
    for (size_t i = 0; i < commit_count; i++) {
        walk.commit = &commits[i];
        walk.at = i;
        visit_commit(&walk);
    }
    json_decref(walk.newest);
    mor_map_done(&walk.batches);
    index_ranges(ret_ledger);
}

void mor_verify_ledger_done(struct mor_verify_ledger *ledger)
{
    free(ledger->commits);
    free(ledger->ranges);
    free(ledger->partitions);
    mor_arena_done(&ledger->arena);
}

const struct mor_verify_range *mor_verify_ledger_find(const struct mor_verify_ledger *ledger,
                                                      int32_t number, int64_t offset)
{
    const struct mor_verify_partition *partition = find_partition(ledger, number);
    size_t low = 0, high = partition ? partition->range_count : 0;
    const struct mor_verify_range *ranges =
        high > 0 ? &ledger->ranges[partition->range_first] : NULL;
    while (low < high) { // the last one that starts at or before the offset
        size_t middle = (low + high) / 2;
        if (ranges[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && offset < ranges[low - 1].end ? &ranges[low - 1] : NULL;
}
