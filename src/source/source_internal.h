// What the files of source/ share. Everything here belongs to the source's own thread unless it
// says otherwise.
#ifndef MORAINE_SOURCE_INTERNAL_H
#define MORAINE_SOURCE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <librdkafka/rdkafka.h>

#include "moraine/source.h"

// Versions as librdkafka writes them: 0xMMmmrrff.
#define MOR_RDKAFKA_2_1    0x020100ff // leader epochs
#define MOR_RDKAFKA_2_2    0x020200ff // fetch.queue.backoff.ms
#define MOR_RDKAFKA_2_3    0x020300ff // DescribeTopics, ListOffsets
#define MOR_RDKAFKA_2_13_2 0x020d02ff // batches that keep the position

// Codes that old headers have no name for.
#define MOR_RDKAFKA_LOG_TRUNCATION   ((rd_kafka_resp_err_t)-139)
#define MOR_RDKAFKA_UNKNOWN_TOPIC_ID ((rd_kafka_resp_err_t)100)

#define MOR_SOURCE_BATCH_MAX   8192
#define MOR_SOURCE_BATCH_SMALL 128
// A chunk is handed over whole, so what its taker may hold beyond its limit is one of these.
#define MOR_SOURCE_CHUNK_BYTES (1024 * 1024)
// How long one poll may take to fill a batch. Also what a request from another thread waits at
// most.
#define MOR_SOURCE_POLL_MS 20
// Chunks that nobody took: a partition collects so many bytes of them before the source stops
// polling, and stops polling for so long before it pauses the partition. Pausing throws away what
// librdkafka has fetched for it, so a short wait is cheaper.
#define MOR_SOURCE_PENDING_BYTES (1024 * 1024)
#define MOR_SOURCE_STALL_MS      100
// Errors in a row, without a record between them, that end a partition.
#define MOR_SOURCE_ERRORS_MAX 3

enum mor_source_state {
    MOR_PARTITION_ASKING,   // the table's offset is not known yet
    MOR_PARTITION_STARTING, // the table has none: looking for the first or last offset
    MOR_PARTITION_READY,    // `next` is known, librdkafka is not reading yet
    MOR_PARTITION_RUNNING,
    MOR_PARTITION_HALTED,  // an error came: what follows is dropped until it is read again from
                           // `next`
    MOR_PARTITION_STOPPED, // failure() was called
};

struct mor_source_part {
    int32_t partition;
    int32_t leader_epoch;
    int64_t generation;
    int64_t next; // offset after everything handed over or pending
    enum mor_source_state state;
    bool assigned;    // librdkafka has it in its assignment
    bool from_latest; // STARTING: by the end of the log, else by its beginning
    bool started;     // something came since librdkafka got the offset; only then pausing keeps it
    bool paused;
    int error_count;
    int64_t retry_at_ms;
    int64_t refused_since_ms; // 0 = the last offer was taken
    struct mor_chunk_link *pending_first, *pending_last;
    size_t pending_bytes;
    // one batch
    struct mor_chunk *building;
    size_t message_count;
    size_t valid_from; // messages of the batch before this index belong to an older assignment
    // lag
    int64_t low, high;
};

// A chunk in the list of those that nobody took yet.
struct mor_chunk_link {
    struct mor_chunk *chunk;
    struct mor_chunk_link *next;
};

// What is known of the group (source_group.c).
struct mor_source_group {
    char *id;                // NULL = no static member, nothing to watch
    int32_t partition_count; // of the topic, as last described; 0 = not known
    int64_t ask_at_ms;
    int64_t unread_since_ms; // at rest with a partition that nobody reads since then; 0 = it is not
    size_t turn;             // members that would leave before us
    int64_t back_at_ms;      // left on purpose; when to join again, 0 = did not leave
    char unread[128];        // the first of those partitions, for messages
};

struct mor_source {
    struct mor_source_options options; // texts copied
    char *topic;
    rd_kafka_t *kafka;
    rd_kafka_queue_t *consumer_queue;
    rd_kafka_queue_t *answer_queue; // identity, lag
    pthread_t thread;
    bool started, closed; // the thread runs; it left the group in time

    struct mor_source_part **parts;
    size_t part_count;
    size_t batch_count; // messages collected so far by single polls
    bool seen_offset;   // the table knows some partition: others without an offset are new
    bool pressure;      // memory budget nearly spent
    int64_t pressure_since_ms;
    atomic_llong alive_ms;
    bool brokers_down;    // said so, and nothing came since
    int64_t broker_at_ms; // when to look whether one is back
    bool failed;          // the topic as a whole; nothing is read any more
    bool identity_known, identity_asked;
    int64_t identity_at_ms; // when to ask next
    int64_t confirm_asked;  // the newest wanted when the question on its way was sent
    int topic_missing_count;
    bool lag_asked[2]; // beginning, end
    int64_t lag_at_ms, publish_at_ms, hints_at_ms;
    struct mor_source_group group;

    char last_error[512]; // librdkafka's, for messages; under `mutex`
    rd_kafka_resp_err_t last_error_code;

    pthread_mutex_t mutex; // what follows
    pthread_cond_t changed;
    bool stopped, quit, delivering;
    bool cut_off; // brokers_down, for others
    // Questions for the identity by mor_source_confirm_identity, numbered: the newest wanted, and
    // the newest that has a good answer.
    int64_t confirm_wanted, confirm_done;
    struct mor_error failure; // why the topic as a whole ended; status MOR_OK = it has not
    int32_t *reassigns;
    size_t reassign_count;
    struct mor_source_partition *hints; // newest per partition
    bool *hint_changed;
    size_t hint_count;
    struct mor_source_lag *lag;
    size_t lag_count;
};

// ---- chunks (source_chunk.c) --------------------------------------------------------------------

// An empty chunk at `part`'s position with room for `capacity` messages.
struct mor_chunk *mor_source_chunk_new(struct mor_source *source,
                                       const struct mor_source_part *part, size_t capacity);
// Takes the message; its offset is at or after chunk->offset_next.
void mor_source_chunk_add(struct mor_chunk *chunk, rd_kafka_message_t *take_message);
// Counts the finished chunk against the budget and hangs it behind the pending ones. Takes it.
void mor_source_chunk_finish(struct mor_source *source, struct mor_source_part *part,
                             struct mor_chunk *take_chunk);
void mor_source_drop_pending(struct mor_source_part *part);
// Offers what is pending, in order, until one is refused.
void mor_source_offer(struct mor_source *source, struct mor_source_part *part, int64_t now_ms);
// Sorts a batch of messages into chunks; errors among them are handled.
void mor_source_distribute(struct mor_source *source, rd_kafka_message_t **take_messages,
                           size_t count);

// ---- assignment (source_assign.c) ---------------------------------------------------------------

struct mor_source_part *mor_source_find(struct mor_source *source, int32_t partition);
void mor_source_rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t event,
                          rd_kafka_topic_partition_list_t *partitions, void *context);
// Moves partitions on their way to RUNNING one step further.
void mor_source_settle(struct mor_source *source, int64_t now_ms);
// Gives the partition up and asks the table again.
void mor_source_restart_asking(struct mor_source *source, struct mor_source_part *part);
void mor_source_set_paused(struct mor_source *source, struct mor_source_part *part, bool pause);
void mor_source_pause_as_needed(struct mor_source *source, int64_t now_ms);

// ---- errors (source_errors.c) -------------------------------------------------------------------

// An error that came in place of a message. Borrowed.
void mor_source_message_error(struct mor_source *source, const rd_kafka_message_t *message);
void mor_source_stop_partition(struct mor_source *source, struct mor_source_part *part,
                               const struct mor_error *err);
void mor_source_fail(struct mor_source *source, const struct mor_error *err);
void mor_source_notice(struct mor_source *source, enum mor_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// A broker answered.
void mor_source_heard(struct mor_source *source);
void mor_source_error_callback(rd_kafka_t *kafka, int code, const char *reason, void *context);
void mor_source_log_callback(const rd_kafka_t *kafka, int level, const char *facility,
                             const char *text);

// ---- facts (source_facts.c) ---------------------------------------------------------------------

// Checks that the topic is there, waiting some seconds for a broker. Any thread.
enum mor_status mor_source_check_topic(struct mor_source *source,
                                       struct mor_error *err) MOR_CHECKED;
// Asks for identity and offsets when it is time, and takes in the answers. While all brokers are
// down, looks for one instead, which takes up to half a second.
void mor_source_facts(struct mor_source *source, int64_t now_ms);
// Asks for the identity as soon as possible.
void mor_source_suspect_identity(struct mor_source *source);
// Rows for mor_source_lag.
void mor_source_publish_lag(struct mor_source *source);

// ---- the group (source_group.c) -----------------------------------------------------------------

// A static member asks who reads which partition when it is time, which takes two seconds when a
// broker is silent; it leaves the group and joins it again when that stays at rest with a partition
// that is nobody's. Not from a callback.
void mor_source_watch_group(struct mor_source *source, int64_t now_ms);

// ---- the thread (source_consumer.c) -------------------------------------------------------------

void mor_source_subscribe(struct mor_source *source);

// ---- configuration (source_config.c) ------------------------------------------------------------

// Whether the operator's properties have this one.
bool mor_source_user_sets(const struct mor_source_options *options, const char *name);
// options->group_id NULL: a client without a group.
enum mor_status mor_source_configure(const struct mor_source_options *options,
                                     rd_kafka_conf_t **ret_conf, struct mor_error *err) MOR_CHECKED;

// ---- reading again (source_reader.c) ------------------------------------------------------------

// Bytes and coordinates of a message; they live as long as it.
struct mor_record mor_source_record(const rd_kafka_message_t *message);

// ---- hints (source_hints.c) ---------------------------------------------------------------------

// Sends changed hints; waits up to wait_ms for the answer (0 = does not wait).
void mor_source_send_hints(struct mor_source *source, int64_t wait_ms);
void mor_source_hints_done(struct mor_source *source);

#endif
