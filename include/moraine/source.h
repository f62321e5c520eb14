// The Kafka side: a consumer group member that hands over chunks of records, never blocks on
// anybody and takes its offsets from the table; and the embedded broker of the demo.
#ifndef MORAINE_SOURCE_H
#define MORAINE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moraine/base/log.h"
#include "moraine/base/memory.h"
#include "moraine/base/record.h"
#include "moraine/base/status.h"

// Consecutive records [offset_first, offset_next) of one Kafka partition. Offsets inside the range
// without a record are gaps (control records, aborted transactions, compaction). Owns the
// librdkafka messages its records point into. The chunks of one generation follow each other
// without a hole; a chunk may have no records, and with MOR_START_LATEST the first chunk of a
// partition that the table did not know is [o, o): it makes the place where the partition starts
// part of a commit.
struct mor_chunk {
    int32_t partition;
    int32_t leader_epoch; // of the last record, -1 when not known
    int64_t generation;   // which assignment of the partition it came from
    int64_t offset_first;
    int64_t offset_next;
    struct mor_record *records;
    size_t record_count;
    size_t size_bytes; // keys and values
    void *messages;    // private to source/
};
void mor_chunk_free(struct mor_chunk *chunk); // any thread, before mor_source_free
// A chunk of records (at least one, of one partition, offsets ascending) that do not come from a
// source; their bytes and headers are borrowed for its life.
struct mor_chunk *mor_chunk_of_records(const struct mor_record *records, size_t count,
                                       int64_t generation);

struct mor_source_partition {
    int32_t partition;
    int64_t offset; // in assign: filled by the callback; MOR_OFFSET_NONE = the table has none yet
    int32_t leader_epoch; // -1 when not known
    int64_t generation;   // filled by the callback
};
#define MOR_OFFSET_NONE (-1)
// What `assign` may return instead of MOR_OFFSET_NONE for a partition that was added to a topic the
// table already knows: such a one starts at its first record whatever `start` says.
#define MOR_OFFSET_EARLIEST (-2)

struct mor_source_identity {
    char cluster_id[128];
    char topic_id[64]; // "" when the client or broker cannot tell
};

enum mor_source_start { MOR_START_EARLIEST, MOR_START_LATEST };

struct mor_source_property {
    const char *name;
    const char *value;
};

// All callbacks come from the source's own thread and must not wait for a commit.
struct mor_source_options {
    const char *topic;
    const char *group_id;
    const struct mor_source_property *properties; // handed to librdkafka as they are
    size_t property_count;
    enum mor_source_start start; // for partitions without an offset in the table
    bool headers;                // records come with their headers
    struct mor_budget *budget;   // intake stops above pause_percent of it
    int32_t pause_percent;       // 0 = 80
    size_t queue_bytes_max;      // librdkafka's own queue
    void *context;
    // The topic's identity as the broker states it, before the first assignment and whenever it was
    // asked again (every 30 s). FATAL ends the source ("the topic was recreated").
    enum mor_status (*identity)(void *context, const struct mor_source_identity *identity,
                                struct mor_error *err);
    // Fill offset, leader_epoch and generation of each partition. RETRY: not known yet, ask again
    // in a moment; FATAL ends the source.
    enum mor_status (*assign)(void *context, struct mor_source_partition *partitions, size_t count,
                              struct mor_error *err);
    void (*revoke)(void *context, const struct mor_source_partition *partitions, size_t count,
                   bool lost);
    // After a revoke that is not a loss: is a commit with one of these partitions on its way? The
    // source waits for it a few seconds before it lets go, so that the next owner starts behind it;
    // being right does not depend on it. May be NULL.
    bool (*settling)(void *context, const struct mor_source_partition *partitions, size_t count);
    // Takes the chunk and returns true, or leaves it with the source (no room: the partition is
    // paused and the chunk offered again).
    bool (*deliver)(void *context, struct mor_chunk *chunk);
    // End of the source: partition -1 = the whole topic. A single partition can be revived by
    // mor_source_reassign.
    void (*failure)(void *context, int32_t partition, const struct mor_error *err);
    // What librdkafka has to say that ends nothing: brokers down, retries. May be NULL. The text
    // may quote configuration values: redact before logging.
    void (*notice)(void *context, enum mor_log_level level, const char *text);
    int64_t identity_interval_ms; // 0 = 30 s
};

// Positions for lag: one row per assigned partition.
struct mor_source_lag {
    int32_t partition;
    int64_t low, high; // -1 when not known yet
    int64_t position;  // next offset to be handed over
    bool paused;
};

struct mor_source;
// Connects, checks the topic and starts the thread. FATAL with words when the topic does not exist,
// access is denied, or a property is unknown or would break exactly-once; RETRY when no broker
// answered within some seconds. Everything but context and budget is copied.
enum mor_status mor_source_open(const struct mor_source_options *options,
                                struct mor_source **ret_source, struct mor_error *err) MOR_CHECKED;
// Any thread but the source's: asks the broker once more which topic this is and waits for the
// answer. OK says that everything delivered before the call came from the topic that `identity` has
// agreed to, because topic ids do not come back: worth one round trip before each commit, since
// librdkafka goes on reading a recreated topic without a word. FATAL: it is another topic now, or
// gone. RETRY: no answer within timeout_ms. Always OK with a librdkafka that has no topic ids.
enum mor_status mor_source_confirm_identity(struct mor_source *source, int64_t timeout_ms,
                                            struct mor_error *err) MOR_CHECKED;
// Any thread: asks the source to give the partition up and assign it again (its offset is asked
// anew).
void mor_source_reassign(struct mor_source *source, int32_t partition);
// Any thread: remembers group offsets to commit as a hint for lag tools (next offset per
// partition).
void mor_source_commit_hint(struct mor_source *source,
                            const struct mor_source_partition *partitions, size_t count);
// Any thread. Returns the number of rows written to ret_lag, at most `capacity`. The rows are
// brought up to date a few times per second; low and high of paused partitions every 10 s.
size_t mor_source_lag(struct mor_source *source, struct mor_source_lag *ret_lag, size_t capacity);
// Any thread: true while no broker can be reached, and why as librdkafka says it (may quote
// configuration values). Nothing needs to be done: it goes on trying.
bool mor_source_is_cut_off(struct mor_source *source, char *ret_why, size_t capacity);
// Any thread: when the source's loop last came round (monotonic clock).
int64_t mor_source_alive_ms(struct mor_source *source);
// Any thread: no more chunks are delivered after it returns; partitions stay assigned. Must not be
// called while holding a lock that `deliver` waits for.
void mor_source_stop(struct mor_source *source);
// Commits the last hints, leaves the group and joins the thread; takes some seconds at most when no
// broker answers. All chunks must have been freed. Not from a callback.
void mor_source_free(struct mor_source *source);

// One line per protection that the linked librdkafka lacks; returns the number of lines.
size_t mor_source_missing_protections(const char *ret_lines[], size_t capacity);
// "librdkafka 2.15.1 (built from ...)".
const char *mor_source_library_version(void);

// ---- before a deployment ------------------------------------------------------------------------

enum mor_source_right { MOR_RIGHT_UNKNOWN, MOR_RIGHT_GRANTED, MOR_RIGHT_MISSING };
struct mor_source_probe {
    int32_t partition_count;
    int32_t partitions_without_answer; // no leader, or no right to describe
    int64_t records;                   // in Kafka now, gaps included
    int64_t records_of_last_hour;      // -1 = not known
    enum mor_source_right read_topic;
    enum mor_source_right read_group; // not known also when there is no such group yet
};
// Whether librdkafka knows the properties and exactly-once allows them; asks nobody. FATAL: it does
// not.
enum mor_status mor_source_check_properties(const struct mor_source_options *options,
                                            struct mor_error *err) MOR_CHECKED;
// Asks a broker about a topic without joining its group; uses topic, group_id and properties. Takes
// some seconds when nobody answers. FATAL and RETRY as mor_source_open.
enum mor_status mor_source_probe(const struct mor_source_options *options,
                                 struct mor_source_probe *ret_probe,
                                 struct mor_error *err) MOR_CHECKED;

// ---- reading again ------------------------------------------------------------------------------

// Reads offsets of a topic that were read before, outside of any group: for comparing a table with
// Kafka. One thread.
struct mor_source_reader;
// `properties` as in mor_source_options; nothing is asked yet. FATAL: a property cannot be.
enum mor_status mor_source_reader_open(const char *topic,
                                       const struct mor_source_property *properties,
                                       size_t property_count, struct mor_source_reader **ret_reader,
                                       struct mor_error *err) MOR_CHECKED;
void mor_source_reader_free(struct mor_source_reader *reader); // NULL allowed
// The three below: NOT_FOUND when there is no such topic or partition, RETRY without an answer.
enum mor_status mor_source_reader_identity(struct mor_source_reader *reader,
                                           struct mor_source_identity *ret_identity,
                                           struct mor_error *err) MOR_CHECKED;
enum mor_status mor_source_reader_ends(struct mor_source_reader *reader, int32_t partition,
                                       int64_t *ret_low, int64_t *ret_high,
                                       struct mor_error *err) MOR_CHECKED;
// Calls `visit` for the records in [start, end) that read_committed shows, in order; `end` must not
// be above the end of the log. NOT_FOUND also when `start` is below the log's beginning. What
// `visit` returns ends the reading; the record is borrowed.
enum mor_status mor_source_reader_read(
    struct mor_source_reader *reader, int32_t partition, int64_t start, int64_t end,
    enum mor_status (*visit)(void *context, const struct mor_record *record, struct mor_error *err),
    void *context, struct mor_error *err) MOR_CHECKED;
// Whether the broker removes superseded records of the topic, so that some are missing by right.
// False when it does not say.
bool mor_source_reader_is_compacted(struct mor_source_reader *reader);

// ---- producing ----------------------------------------------------------------------------------

// An idempotent producer for one topic; one thread. The properties are those of the consumer, what
// only a consumer knows is passed over.
struct mor_producer;
enum mor_status mor_producer_open(const struct mor_source_property *properties,
                                  size_t property_count, const char *topic,
                                  struct mor_producer **ret_producer,
                                  struct mor_error *err) MOR_CHECKED;
// Copies key, value and headers of the record. RETRY when the queue stays full for timeout_ms.
enum mor_status mor_producer_send(struct mor_producer *producer, const struct mor_record *record,
                                  int64_t timeout_ms, struct mor_error *err) MOR_CHECKED;
// Waits until the broker has taken every record. RETRY: not all of them; those may come again.
enum mor_status mor_producer_flush(struct mor_producer *producer, int64_t timeout_ms,
                                   struct mor_error *err) MOR_CHECKED;
void mor_producer_free(struct mor_producer *producer); // NULL is fine

// ---- embedded broker ----------------------------------------------------------------------------

// librdkafka's mock cluster: in memory, about 5 MiB or 100,000 batches kept per partition.
struct mor_demo_broker;
enum mor_status mor_demo_broker_start(const char *topic, int32_t partition_count,
                                      struct mor_demo_broker **ret_broker,
                                      struct mor_error *err) MOR_CHECKED;
const char *mor_demo_broker_address(const struct mor_demo_broker *broker); // "127.0.0.1:port"
// Produces one record and waits only when the client's queue is full. value NULL = tombstone.
enum mor_status mor_demo_broker_produce(struct mor_demo_broker *broker, int32_t partition,
                                        const void *key, size_t key_size, const void *value,
                                        size_t value_size, int64_t timestamp_ms,
                                        struct mor_error *err) MOR_CHECKED;
enum mor_status mor_demo_broker_flush(struct mor_demo_broker *broker,
                                      struct mor_error *err) MOR_CHECKED;
void mor_demo_broker_free(struct mor_demo_broker *broker);

#endif
