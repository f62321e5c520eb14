#include "check.h"
#include "verify_ledger.h"

#define DIGEST   "\"00000000000000010000000000000002\""
#define BATCH(n) "\"0190000000007000800000000000000" #n "1234\""

// One commit whose ledger is the given JSON; NULL = none.
static struct mor_commit_info commit(const char *version, const char *operation, const char *json,
                                     struct mor_property *property)
{
    struct mor_commit_info info = {.operation = operation, .rows_written = 1};
    (void)snprintf(info.version, sizeof info.version, "%s", version);
    *property = (struct mor_property){"moraine", json};
    info.properties = property;
    info.property_count = json != NULL;
    return info;
}

// A ledger with ids and counts that close; `more` is put behind, and wins over nothing.
#define LEDGER(batch_, ranges_, offsets_, read_, gap_, watermark_)                                 \
    "{\"v\":1,\"batch\":" batch_ ",\"cluster\":\"c\",\"topic\":\"t\",\"topic_id\":\"i\","          \
    "\"ranges\":{" ranges_ "},\"offsets\":{" offsets_ "},\"watermark_ms\":" watermark_             \
    ",\"watermarks_ms\":{\"0\":" watermark_ "},\"rows\":{\"read\":" read_ ",\"inserted\":" read_   \
    ",\"updated\":0,\"deleted\":0,\"duplicate\":0,\"late_dropped\":0,"                             \
    "\"dead\":0,\"filtered\":0,\"gap\":" gap_ "},\"digest\":{\"0\":" DIGEST ",\"1\":" DIGEST "}}"

static const char first[] =
    LEDGER(BATCH(1), "\"0\":[5,15],\"1\":[0,3]", "\"0\":[15,0],\"1\":[3,0]", "12", "1", "100");
static const char second[] =
    LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "5", "0", "200");

struct walked {
    struct mor_verify_report *report;
    struct mor_verify_ledger ledger;
};

static struct walked walk_table(const char *const *ledgers, const char *const *operations,
                                size_t count, bool is_whole)
{
    struct mor_commit_info commits[8];
    struct mor_property properties[8];
    struct walked walked = {.report = mor_verify_report_new()};
    for (size_t i = 0; i < count; i++) {
        char version[8];
        (void)snprintf(version, sizeof version, "v%zu", i);
        commits[i] =
            commit(version, operations ? operations[i] : "upsert", ledgers[i], &properties[i]);
    }
    mor_verify_ledger_read(commits, count, is_whole, walked.report, &walked.ledger);
    return walked;
}

static struct walked walk(const char *const *ledgers, const char *const *operations, size_t count)
{
    return walk_table(ledgers, operations, count, true);
}

static void end(struct walked *walked)
{
    mor_verify_ledger_done(&walked->ledger);
    mor_verify_report_free(walked->report);
}

static void expect_right(const char *const *ledgers, size_t count)
{
    struct walked walked = walk(ledgers, NULL, count);
    if (walked.report->wrong_count > 0)
        fail_msg("%s", walked.report->findings[0].text);
    end(&walked);
}

// The first finding must be of the kind and hold the words.
static void expect_finding(const char *const *ledgers, size_t count, const char *kind,
                           const char *words)
{
    struct walked walked = walk(ledgers, NULL, count);
    if (walked.report->wrong_count == 0)
        fail_msg("nothing was found, expected '%s'", kind);
    const struct mor_verify_finding *finding = &walked.report->findings[0];
    assert_string_equal(finding->kind, kind);
    if (!strstr(finding->text, words))
        fail_msg("'%s' is not in '%s'", words, finding->text);
    end(&walked);
}

static void ranges_that_tile_are_right_and_can_be_searched(void **state)
{
    (void)state;
    const char *const ledgers[] = {first, second};
    struct walked walked = walk(ledgers, NULL, 2);
    assert_int_equal(walked.report->wrong_count, 0);
    const struct mor_verify_ledger *ledger = &walked.ledger;
    assert_int_equal(ledger->commit_count, 2);
    assert_int_equal(ledger->partition_count, 2);
    assert_true(ledger->is_complete);
    assert_string_equal(ledger->commits[1].version, "v1");
    assert_int_equal(ledger->commits[0].range_offsets, 13);
    static const struct {
        int32_t partition;
        int64_t offset;
        int commit; // -1 = none
    } cases[] = {{0, 4, -1},  {0, 5, 0}, {0, 14, 0}, {0, 15, 1}, {0, 19, 1},
                 {0, 20, -1}, {1, 0, 0}, {1, 2, 0},  {1, 3, -1}, {2, 0, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mor_verify_range *range =
            mor_verify_ledger_find(ledger, cases[i].partition, cases[i].offset);
        assert_int_equal(range ? (int)range->commit : -1, cases[i].commit);
    }
    const struct mor_verify_range *range = mor_verify_ledger_find(ledger, 0, 7);
    assert_true(range->has_digest);
    assert_true(range->digest.high == 1);
    assert_true(range->digest.low == 2);
    end(&walked);
}

static void an_oldest_ledger_that_carries_offsets_is_not_the_first(void **state)
{
    (void)state;
    const char *const ledgers[] = {second};
    struct walked walked = walk(ledgers, NULL, 1);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_false(walked.ledger.is_complete);
    assert_int_equal(mor_verify_ledger_partition(&walked.ledger, 1)->next, 3);
    end(&walked);
}

static void partitions_may_be_added_later(void **state)
{
    (void)state;
    const char *const ledgers[] = {
        first,
        LEDGER(BATCH(2), "\"7\":[0,5]", "\"0\":[15,0],\"1\":[3,0],\"7\":[5,0]", "5", "0", "100")};
    struct walked walked = walk(ledgers, NULL, 2);
    // the digest of partition 7 is the one thing that is missing
    assert_int_equal(walked.report->wrong_count, 1);
    assert_non_null(strstr(walked.report->findings[0].text, "no digest"));
    end(&walked);
}

static void empty_ranges_and_commits_without_ranges_are_right(void **state)
{
    (void)state;
    const char *const ledgers[] = {
        first, LEDGER(BATCH(2), "\"0\":[15,15]", "\"0\":[15,0],\"1\":[3,0]", "0", "0", "100"),
        LEDGER(BATCH(3), "", "\"0\":[15,0],\"1\":[3,0]", "0", "0", "100")};
    expect_right(ledgers, 3);
}

static void what_does_not_follow_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *second, *kind, *words;
    } cases[] = {
        {LEDGER(BATCH(2), "\"0\":[17,20]", "\"0\":[20,0],\"1\":[3,0]", "3", "0", "200"), "gap",
         "2 offsets are in no commit"},
        {LEDGER(BATCH(2), "\"0\":[12,20]", "\"0\":[20,0],\"1\":[3,0]", "8", "0", "200"), "overlap",
         "3 offsets were committed twice"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[21,0],\"1\":[3,0]", "5", "0", "200"), "offsets",
         "states next offset 21, its ranges lead to 20"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0]", "5", "0", "200"), "offsets",
         "does not carry the partition's offset forward"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0],\"2\":[9,0]", "5", "0", "200"),
         "offsets", "no commit reached"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "5", "0", "99"), "watermark",
         "goes back from 100 to 99"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "4", "0", "200"), "sums",
         "4 records and 0 gaps do not fill the 5 offsets"},
        {LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "-5", "10", "200"),
         "malformed", "missing or negative"},
        {LEDGER(BATCH(2), "\"0\":[20,15]", "\"0\":[15,0],\"1\":[3,0]", "0", "0", "200"),
         "malformed", "range of partition '0' is none"},
        {LEDGER(BATCH(1), "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "5", "0", "200"),
         "doubled batch", "commit v0 brought the batch already"},
        {LEDGER("\"x\"", "\"0\":[15,20]", "\"0\":[20,0],\"1\":[3,0]", "5", "0", "200"), "malformed",
         "names no batch"},
        {"{\"v\":2,\"offsets\":{}}", "malformed", "none of version 1"},
        {"[1]", "malformed", "no JSON object"},
        {"{", "malformed", "no JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const ledgers[] = {first, cases[i].second};
        expect_finding(ledgers, 2, cases[i].kind, cases[i].words);
    }
}

static void records_without_an_outcome_are_found(void **state)
{
    (void)state;
    char text[1024];
    const char *at = strstr(first, "\"updated\":0");
    (void)snprintf(text, sizeof text, "%.*s\"updated\":1%s", (int)(at - first), first,
                   at + strlen("\"updated\":0"));
    const char *const ledgers[] = {text};
    expect_finding(ledgers, 1, "sums", "12 records were read and 13 have an outcome");
}

static void another_topic_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"\"cluster\":\"c\"", "\"cluster\":\"d\"", "cluster changes from 'c' to 'd'"},
        {"\"topic\":\"t\"", "\"topic\":\"u\"", "topic changes from 't' to 'u'"},
        {"\"topic_id\":\"i\"", "\"topic_id\":\"j\"", "topic's id changes from 'i' to 'j'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        const char *at = strstr(second, cases[i].from);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - second), second, cases[i].to,
                       at + strlen(cases[i].from));
        const char *const ledgers[] = {first, text};
        expect_finding(ledgers, 2, "identity", cases[i].words);
    }
}

static void a_rewrite_carries_the_newest_ledger_unchanged(void **state)
{
    (void)state;
    static const char *const operations[] = {"upsert", "compaction", "upsert", "compaction"};
    const char *const right[] = {first, first, second, NULL};
    struct walked walked = walk(right, operations, 4);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.commit_count, 2);
    assert_int_equal(walked.ledger.foreign_count, 0);
    end(&walked);
    // begun before the commit whose ledger it carries
    const char *const early[] = {first, second, second, NULL};
    walked = walk(early, operations, 4);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.commit_count, 2);
    end(&walked);
    // the oldest one that is left
    const char *const archived[] = {NULL, first, second, NULL};
    walked = walk(archived, operations, 4);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.commit_count, 2);
    end(&walked);
}

static void a_rewrite_that_carries_something_else_is_found(void **state)
{
    (void)state;
    static const char *const operations[] = {"upsert", "upsert", "clustering"};
    static const char other[] =
        LEDGER(BATCH(3), "\"0\":[20,21]", "\"0\":[21,0],\"1\":[3,0]", "1", "0", "300");
    static const char changed[] =
        LEDGER(BATCH(2), "\"0\":[15,20]", "\"0\":[19,0],\"1\":[3,0]", "5", "0", "200");
    const struct {
        const char *third, *words;
    } cases[] = {{first, "commit v0, which was not the newest any more"},
                 {changed, "the ledger of commit v1 changed"},
                 {other, "no commit brought"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const ledgers[] = {first, second, cases[i].third};
        struct walked walked = walk(ledgers, operations, 3);
        assert_int_equal(walked.report->wrong_count, 1);
        assert_string_equal(walked.report->findings[0].kind, "carried");
        if (!strstr(walked.report->findings[0].text, cases[i].words))
            fail_msg("%s", walked.report->findings[0].text);
        end(&walked);
    }
}

// As mor_property_carried makes it of `second` when that has "own".
#define WITH_OWN(ledger_) ledger_ ",\"own\":[\"ranges\",\"rows\",\"digest\"]}"
static const char told[] = WITH_OWN("{\"v\":1,\"batch\":" BATCH(
    2) ",\"cluster\":\"c\",\"topic\":\"t\",\"topic_id\":\"i\","
       "\"ranges\":{\"0\":[15,20]},\"offsets\":{\"0\":[20,0],\"1\":[3,0]},\"watermark_ms\":200,"
       "\"watermarks_ms\":{\"0\":200},\"rows\":{\"read\":5,\"inserted\":5,\"updated\":0,"
       "\"deleted\":0,\"duplicate\":0,\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":0},"
       "\"digest\":{\"0\":" DIGEST "}");

static void a_ledger_is_carried_without_what_it_says_of_its_own_commit(void **state)
{
    (void)state;
    MOR_AUTO_FREE char *carried = mor_property_carried(told);
    assert_non_null(strstr(carried, "\"ranges\":{}"));
    const char *const ledgers[] = {first, told, carried, carried, carried};
    // an upsert without a batch: rows that an operator deleted
    static const char *const operations[] = {"upsert", "upsert", "compaction", "upsert",
                                             "clustering"};
    struct walked walked = walk(ledgers, operations, 5);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.commit_count, 2);
    end(&walked);
}

static void a_carried_ledger_that_claims_records_is_found(void **state)
{
    (void)state;
    static const char *const rewrite[] = {"upsert", "upsert", "compaction"};
    static const char *const upsert[] = {"upsert", "upsert", "upsert"};
    const char *const ledgers[] = {first, told, told};
    struct walked walked = walk(ledgers, rewrite, 3);
    assert_int_equal(walked.report->wrong_count, 1);
    assert_string_equal(walked.report->findings[0].kind, "carried");
    end(&walked);
    walked = walk(ledgers, upsert, 3);
    assert_true(walked.report->wrong_count > 0);
    assert_string_equal(walked.report->findings[0].kind, "doubled batch");
    end(&walked);
}

// As above, of the form that says what it tells of its own commit alone.
#define TAIL(number_) ",\"own\":[\"ranges\",\"rows\",\"digest\"],\"number\":" number_ "}"
static const char with_own[] = "{\"v\":1,\"batch\":" BATCH(
    1) ",\"ranges\":{\"0\":[5,15]},\"offsets\":{\"0\":[15,0]},"
       "\"rows\":{\"read\":10,\"inserted\":9,\"updated\":0,\"deleted\":0,\"duplicate\":0,"
       "\"late_dropped\":0,\"dead\":1,\"filtered\":0,\"gap\":0},\"digest\":{\"0\":" DIGEST
       "}" TAIL("1");
static const char emptied[] = "{\"v\":1,\"batch\":" BATCH(
    1) ",\"ranges\":{},\"offsets\":{\"0\":[15,0]},"
       "\"rows\":{\"read\":0,\"inserted\":0,\"updated\":0,\"deleted\":0,\"duplicate\":0,"
       "\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":0},\"digest\":{}" TAIL("1");
static const char no_offset[] = "{\"v\":1,\"batch\":" BATCH(
    1) ",\"ranges\":{},\"offsets\":{\"0\":[14,0]},"
       "\"rows\":{\"read\":0,\"inserted\":0,\"updated\":0,\"deleted\":0,\"duplicate\":0,"
       "\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":0},\"digest\":{}" TAIL("1");

static void a_rewrite_empties_what_tells_of_one_commit(void **state)
{
    (void)state;
    static const char *const operations[] = {"upsert", "compact"};
    const char *const right[] = {with_own, emptied};
    struct walked walked = walk(right, operations, 2);
    assert_int_equal(walked.report->wrong_count, 0);
    end(&walked);
    // whole, it would claim the ranges once more
    const char *const claims[] = {with_own, with_own};
    const char *const differs[] = {with_own, no_offset};
    for (int i = 0; i < 2; i++) {
        walked = walk(i == 0 ? claims : differs, operations, 2);
        assert_int_equal(walked.report->wrong_count, 1);
        assert_non_null(strstr(walked.report->findings[0].text, "commit v0 changed"));
        end(&walked);
    }
}

#define NUMBERED(batch_, ranges_, offsets_, number_)                                               \
    "{\"v\":1,\"batch\":" BATCH(batch_) ",\"ranges\":{" ranges_ "},\"offsets\":{" offsets_         \
                                        "},\"rows\":{\"read\":5,\"inserted\":5,\"updated\":0,"     \
                                        "\"deleted\":0,\"duplicate\":0,"                           \
                                        "\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":0}," \
                                        "\"digest\":{\"0\":" DIGEST "},\"number\":" #number_ "}"

static void commits_between_two_may_be_archived(void **state)
{
    (void)state;
    const char *const ledgers[] = {NUMBERED(1, "\"0\":[0,5]", "\"0\":[5,0]", 1),
                                   NUMBERED(2, "\"0\":[20,25]", "\"0\":[25,0],\"1\":[7,0]", 4),
                                   NUMBERED(3, "\"0\":[25,30]", "\"0\":[30,0],\"1\":[7,0]", 5)};
    struct walked walked = walk_table(ledgers, NULL, 3, false);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.hole_count, 1);
    assert_false(walked.ledger.is_complete);
    end(&walked);
    // a rewrite that began first, with the ledger of a commit of later that is archived
    static const char *const operations[] = {"compaction", "upsert", "upsert"};
    const char *const early[] = {NUMBERED(4, "\"0\":[10,20]", "\"0\":[20,0]", 3), ledgers[0],
                                 ledgers[1]};
    walked = walk_table(early, operations, 3, false);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.commit_count, 2);
    end(&walked);
    // not in a table that has archived nothing
    walked = walk_table(ledgers, NULL, 3, true);
    assert_int_equal(walked.report->wrong_count, 2);
    assert_string_equal(walked.report->findings[0].kind, "gap");
    end(&walked);
    // nor where no commit is missing, nor backwards
    const char *const gap[] = {ledgers[0], NUMBERED(2, "\"0\":[20,25]", "\"0\":[25,0]", 2)};
    walked = walk_table(gap, NULL, 2, false);
    assert_string_equal(walked.report->findings[0].kind, "gap");
    end(&walked);
    const char *const back[] = {ledgers[0], NUMBERED(2, "\"0\":[3,8]", "\"0\":[8,0]", 4)};
    walked = walk_table(back, NULL, 2, false);
    assert_string_equal(walked.report->findings[0].kind, "overlap");
    end(&walked);
}

static void dead_letters_that_were_sent_again_are_counted(void **state)
{
    (void)state;
#define REDRIVE(read_)                                                                             \
    "{\"v\":1,\"batch\":" BATCH(                                                                   \
        2) ",\"ranges\":{},\"offsets\":{\"0\":[15,0]},"                                            \
           "\"rows\":{\"read\":0,\"inserted\":0,\"updated\":0,\"deleted\":0,\"duplicate\":0,"      \
           "\"late_dropped\":0,\"dead\":0,\"filtered\":0,\"gap\":0},\"redriven\":{\"read\":" read_ \
           ",\"inserted\":1,\"updated\":1,\"deleted\":0,\"duplicate\":0,\"late_dropped\":0,"       \
           "\"dead\":1,"                                                                           \
           "\"filtered\":0,\"gap\":0},\"digest\":{},\"number\":2}"
    const char *const ledgers[] = {with_own, REDRIVE("3")};
    struct walked walked = walk(ledgers, NULL, 2);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.redriven, 2);
    assert_int_equal(walked.ledger.commits[0].dead, 1);
    end(&walked);
    const char *const open[] = {with_own, REDRIVE("4")};
    expect_finding(open, 2, "sums", "4 dead letters were sent again and 3 have an outcome");
}

static void commits_of_other_programs_are_counted(void **state)
{
    (void)state;
    const char *const ledgers[] = {first, NULL, second};
    struct walked walked = walk(ledgers, NULL, 3);
    assert_int_equal(walked.report->wrong_count, 0);
    assert_int_equal(walked.ledger.foreign_count, 1);
    end(&walked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_that_tile_are_right_and_can_be_searched),
        cmocka_unit_test(an_oldest_ledger_that_carries_offsets_is_not_the_first),
        cmocka_unit_test(partitions_may_be_added_later),
        cmocka_unit_test(empty_ranges_and_commits_without_ranges_are_right),
        cmocka_unit_test(what_does_not_follow_is_found),
        cmocka_unit_test(records_without_an_outcome_are_found),
        cmocka_unit_test(another_topic_is_found),
        cmocka_unit_test(a_rewrite_carries_the_newest_ledger_unchanged),
        cmocka_unit_test(a_rewrite_that_carries_something_else_is_found),
        cmocka_unit_test(a_rewrite_empties_what_tells_of_one_commit),
        cmocka_unit_test(commits_between_two_may_be_archived),
        cmocka_unit_test(dead_letters_that_were_sent_again_are_counted),
        cmocka_unit_test(a_ledger_is_carried_without_what_it_says_of_its_own_commit),
        cmocka_unit_test(a_carried_ledger_that_claims_records_is_found),
        cmocka_unit_test(commits_of_other_programs_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
