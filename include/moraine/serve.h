// HTTP: health, lag, metrics, the status page, and the verbs that an operator may send.
//
// The module knows nothing of Kafka or tables. It asks for a snapshot of facts a few times per
// second, from a thread of its own, and answers every request from the newest one; so a scrape
// never waits for a pipeline, and a pipeline that holds a lock for ever shows up in /livez.
#ifndef MORAINE_SERVE_H
#define MORAINE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/memory.h"
#include "moraine/base/status.h"

// ---- facts --------------------------------------------------------------------------------------

// A fact that the program cannot tell (yet): left out of metrics, null in JSON, a dash on the page.
#define MOR_SERVE_UNKNOWN INT64_MIN

enum mor_serve_state {
    MOR_SERVE_STARTING, // opens what it needs, waits for what is away
    MOR_SERVE_RUNNING,
    MOR_SERVE_PAUSED,  // by an operator
    MOR_SERVE_STOPPED, // asked to
    MOR_SERVE_FAILED,  // an operator must act
};

// Observations since the start of the program. bound_count 0: not known.
struct mor_serve_histogram {
    const int64_t *bounds_ms; // ascending upper bounds, inclusive; above the last one is "+Inf"
    size_t bound_count;
    const int64_t *counts; // bound_count + 1, each bucket for itself
    int64_t sum_ms;
};

struct mor_serve_partition {
    int32_t partition;
    bool paused;
    int64_t low, high;    // in Kafka
    int64_t table_offset; // next offset in the table; unknown also when the table has none yet
    int64_t watermark_ms;
};

// Counters since the start of the program unless said otherwise. Only int64_t members: a topic
// starts with all of them unknown.
struct mor_serve_facts {
    int64_t consumed_records, consumed_bytes; // handed over by Kafka, committed or not
    // records committed, by outcome; read is their sum, gap counts offsets without a record
    int64_t read, inserted, updated, deleted, duplicate, late_dropped, dead, filtered, gap;
    int64_t commits, fenced;
    int64_t last_commit_ms; // wall clock
    int64_t last_commit_duration_ms;
    int64_t
        last_freshness_ms; // of the last commit: Kafka timestamp of its oldest record to visible
    int64_t watermark_ms;
    int64_t base_files_written, delta_files_written;
    int64_t bytes_written;
    // by reason
    int64_t dead_letters_decode, dead_letters_event_time, dead_letters_key, dead_letters_late;
    int64_t late;   // records behind the watermark, whatever became of them
    int64_t future; // records whose event time lies too far ahead to move the watermark
    int64_t rebalances, schema_changes;
    // as it is now
    int64_t delta_files, file_groups, compaction_pending;
    int64_t compaction_bytes, cleaned_files;
    int64_t state_entries, state_bytes, index_hits, index_misses;
    int64_t paused_partitions;
};

// Texts are borrowed for the life of the snapshot's arena.
struct mor_serve_topic {
    const char *topic;
    enum mor_serve_state state;
    const char *step;      // what is being done or waited for: "fetch", "encode", "commit", ...
    int64_t step_since_ms; // wall clock
    const char *trouble;   // the last thing that went wrong and was not mended since, "" = nothing
    const char *trouble_step;   // in which step, "" = not told
    const char *upkeep_trouble; // why compaction or cleaning failed the last time, "" = it did not
    int64_t alive_ms;           // monotonic clock: when the topic's own threads last came round
    const char *table;          // location, "" = not told
    const char *format;         // "hudi", ...; "" = not told
    const char *version;        // name of the last commit, "" = none
    int64_t commit_interval_ms;
    // A running topic that has records to commit and has not moved for so long is stuck, and so is
    // one whose trouble has lasted for trouble_after_ms.
    int64_t stuck_after_ms, trouble_after_ms;
    struct mor_serve_facts facts;
    struct mor_serve_histogram commit_duration, freshness, compaction_duration;
    struct mor_serve_histogram lateness; // of records behind a later one
    struct mor_serve_partition *partitions;
    size_t partition_count;
};

// Requests to the storage of one kind and result; constant texts.
struct mor_serve_requests {
    const char *operation, *code;
    int64_t count;
};

struct mor_serve_snapshot {
    struct mor_arena *arena; // set by the caller of the callback; everything below lives in it
    const char *instance;
    const char *version;  // of the program
    int64_t started_ms;   // wall clock
    int64_t heartbeat_ms; // monotonic clock: when the main loop last said that it lives
    int64_t memory_used_bytes, memory_peak_bytes, memory_limit_bytes;
    const char *config_trouble; // why the configuration was not taken over, "" = it was
    int64_t config_loaded_ms;   // wall clock: when that was tried last
    int64_t reloads_done, reloads_refused;
    struct mor_serve_requests *requests; // to the storage, of all topics together
    size_t request_count;
    struct mor_serve_topic *topics;
    size_t topic_count;
};

// Gives the snapshot `count` topics: empty texts, every fact and histogram unknown.
void mor_serve_snapshot_topics(struct mor_serve_snapshot *snapshot, size_t count);
// Gives a topic of the snapshot `count` partitions with every fact unknown.
void mor_serve_topic_partitions(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                                size_t count);

// ---- server -------------------------------------------------------------------------------------

enum mor_serve_verb {
    MOR_SERVE_PAUSE,
    MOR_SERVE_RESUME,
    MOR_SERVE_FLUSH,
    MOR_SERVE_COMPACT,
};

enum mor_serve_outcome {
    MOR_SERVE_DONE,        // 202: asked for, carried out as soon as possible
    MOR_SERVE_NO_TOPIC,    // 404
    MOR_SERVE_NOT_NOW,     // 409: the topic is not in a state for it
    MOR_SERVE_UNSUPPORTED, // 501
};

struct mor_serve_options {
    const char *listen; // "host:port", "[::1]:port"; port 0 = any that is free
    const char *token;  // of POST; NULL or "" = POST is refused
    void *context;      // of the callbacks
    // Fills a zeroed snapshot (arena set). From the sampling thread, and once from mor_serve_open;
    // never two at a time.
    void (*snapshot)(void *context, struct mor_serve_snapshot *snapshot);
    // Carries a verb out or says why not, in words for the operator. From the server's thread: must
    // not wait. NULL = no verb is supported.
    enum mor_serve_outcome (*control)(void *context, const char *topic, enum mor_serve_verb verb,
                                      char *ret_words, size_t capacity);
    int64_t sample_interval_ms; // 0 = 500
    int64_t request_ms_max;     // a client that takes longer over a request is cut off; 0 = 30 s
    int64_t stall_after_ms;     // /livez fails without heartbeat or snapshot for so long; 0 = 30 s
    int64_t topic_stall_after_ms; // /livez fails when a topic's threads hang so long; 0 = 10 min
};

struct mor_serve;
// Takes a first snapshot, binds the address and answers from then on. The options are copied but
// for the context. FATAL with words when the address is malformed, not ours or in use.
enum mor_status mor_serve_open(const struct mor_serve_options *options,
                               struct mor_serve **ret_serve, struct mor_error *err) MOR_CHECKED;
// "http://127.0.0.1:8090/", with the port that was really bound. Any thread.
const char *mor_serve_url(const struct mor_serve *serve);
// What /livez answers. Any thread.
bool mor_serve_is_live(const struct mor_serve *serve);
// Cuts connections off, joins the threads and frees; no callback runs afterwards. NULL is fine.
void mor_serve_free(struct mor_serve *serve);

// How the module words a duration, for whoever shows the same facts: "850 ms", "12.3 s",
// "4 min 10 s", "3 h 5 min", "2 d 4 h". Capacity at least 32.
void mor_serve_format_duration(int64_t ms, char *ret_text, size_t capacity);

#endif
