// A service that is made up, served on a free port of the loopback, and a client of plain sockets.
#ifndef MORAINE_TESTS_SERVE_RIG_H
#define MORAINE_TESTS_SERVE_RIG_H

#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "moraine/base/clock.h"
#include "moraine/base/log.h"
#include "moraine/serve.h"

#define RIG_HOSTILE_TOPIC                                                                          \
    "a\"b\\c<d>&\n\x01\xff\xc3\xa4" // Kafka allows none of it; nobody must care

// What the made-up service tells; tests change it while the server runs.
struct rig_service {
    pthread_mutex_t mutex;
    enum mor_serve_state state;
    const char *step, *trouble;
    int64_t table_offset;
    int64_t heartbeat_age_ms, topic_silent_ms;
    bool hostile;
    atomic_int snapshots;
    // the last verb
    char verb_topic[256];
    int verb;
    int verb_count;
};

struct rig {
    struct rig_service service;
    struct mor_serve *serve;
    uint16_t port;
};

static const int64_t rig_bounds_ms[] = {100, 1000, 2500};
static const int64_t rig_counts[] = {3, 2, 1, 1};

static inline void rig_fill_orders(struct rig_service *service, struct mor_serve_snapshot *snapshot,
                                   struct mor_serve_topic *topic)
{
    int64_t now_ms = mor_clock_wall_ms();
    topic->topic = "orders";
    topic->state = service->state;
    topic->step = service->step;
    topic->trouble = service->trouble;
    topic->step_since_ms = 1767225600000;
    topic->table = "file:///var/lib/lake/orders";
    topic->format = "hudi";
    topic->version = "20260101000000000";
    topic->alive_ms = mor_clock_mono_ms() - service->topic_silent_ms;
    topic->commit_interval_ms = 1000;
    topic->stuck_after_ms = 100;
    topic->facts.consumed_records = 160;
    topic->facts.consumed_bytes = 16000;
    topic->facts.read = 150;
    topic->facts.inserted = 120;
    topic->facts.updated = 20;
    topic->facts.deleted = 8;
    topic->facts.dead = 2;
    topic->facts.dead_letters_decode = 2;
    topic->facts.commits = 7;
    topic->facts.fenced = 0;
    topic->facts.last_commit_ms = now_ms - 1500;
    topic->facts.last_commit_duration_ms = 321;
    topic->facts.watermark_ms = now_ms - 60000;
    topic->facts.bytes_written = 4096;
    topic->facts.base_files_written = 2;
    topic->facts.delta_files_written = 5;
    topic->commit_duration = (struct mor_serve_histogram){rig_bounds_ms, 3, rig_counts, 4321};
    mor_serve_topic_partitions(snapshot, topic, 2);
    topic->partitions[0].low = 0;
    topic->partitions[0].high = 200;
    topic->partitions[0].table_offset = service->table_offset;
    topic->partitions[1].partition = 1; // nothing known about it
}

static inline void rig_snapshot(void *context, struct mor_serve_snapshot *snapshot)
{
    struct rig_service *service = context;
    pthread_mutex_lock(&service->mutex);
    snapshot->instance = "rig-1";
    snapshot->version = "0.0.1";
    snapshot->started_ms = mor_clock_wall_ms() - 5000;
    snapshot->heartbeat_ms = mor_clock_mono_ms() - service->heartbeat_age_ms;
    snapshot->memory_used_bytes = 1000;
    snapshot->memory_peak_bytes = 2000;
    snapshot->memory_limit_bytes = 4000;
    mor_serve_snapshot_topics(snapshot, service->hostile ? 2 : 1);
    rig_fill_orders(service, snapshot, &snapshot->topics[0]);
    if (service->hostile) {
        snapshot->topics[1].topic = RIG_HOSTILE_TOPIC;
        snapshot->topics[1].state = MOR_SERVE_FAILED;
        snapshot->topics[1].trouble = "\"},\n{\"\xff";
        snapshot->topics[1].facts.commits = 3;
    }
    pthread_mutex_unlock(&service->mutex);
    atomic_fetch_add(&service->snapshots, 1);
}

static inline enum mor_serve_outcome rig_control(void *context, const char *topic,
                                                 enum mor_serve_verb verb, char *ret_words,
                                                 size_t capacity)
{
    struct rig_service *service = context;
    pthread_mutex_lock(&service->mutex);
    (void)snprintf(service->verb_topic, sizeof service->verb_topic, "%s", topic);
    service->verb = (int)verb;
    service->verb_count++;
    pthread_mutex_unlock(&service->mutex);
    (void)snprintf(ret_words, capacity, "words about '%s'", topic);
    if (strcmp(topic, "orders") != 0)
        return MOR_SERVE_NO_TOPIC;
    return verb == MOR_SERVE_COMPACT ? MOR_SERVE_UNSUPPORTED
           : verb == MOR_SERVE_PAUSE ? MOR_SERVE_NOT_NOW
                                     : MOR_SERVE_DONE;
}

static inline struct rig *rig_open(const char *token)
{
    struct mor_error err = MOR_ERROR_INIT;
    mor_log_configure(MOR_LOG_OFF, MOR_LOG_LOGFMT);
    struct rig *rig = calloc(1, sizeof *rig);
    rig->service = (struct rig_service){.mutex = PTHREAD_MUTEX_INITIALIZER,
                                        .state = MOR_SERVE_RUNNING,
                                        .step = "fetch",
                                        .trouble = "",
                                        .table_offset = 200};
    struct mor_serve_options options = {.listen = "127.0.0.1:0",
                                        .token = token,
                                        .context = &rig->service,
                                        .snapshot = rig_snapshot,
                                        .control = rig_control,
                                        .sample_interval_ms = 10,
                                        .request_ms_max = 3000,
                                        .stall_after_ms = 2000};
    assert_ok(mor_serve_open(&options, &rig->serve, &err));
    unsigned port;
    assert_int_equal(sscanf(mor_serve_url(rig->serve), "http://127.0.0.1:%u/", &port), 1);
    rig->port = (uint16_t)port;
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    mor_serve_free(rig->serve);
    free(rig);
}

// Waits until a snapshot that was begun after the call has been taken in.
static inline void rig_resample(struct rig *rig)
{
    int before = atomic_load(&rig->service.snapshots);
    int64_t deadline_ms = mor_clock_mono_ms() + 10000;
    while (atomic_load(&rig->service.snapshots) < before + 3) {
        assert_true(mor_clock_mono_ms() < deadline_ms);
        (void)poll(NULL, 0, 2);
    }
}

static inline int rig_connect(const struct rig *rig)
{
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(rig->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(connection, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval timeout = {.tv_sec = 20};
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return connection;
}

// Reads to the end of the stream and closes; the caller frees.
static inline char *rig_receive(int connection)
{
    struct mor_buffer text = {0};
    char piece[65536];
    ssize_t size;
    while ((size = recv(connection, piece, sizeof piece, 0)) > 0)
        mor_buffer_append(&text, piece, (size_t)size);
    close(connection);
    return taken_text(&text);
}

// Sends bytes as they are and nothing more; what is answered within `patience_ms` of silence, the
// caller frees.
static inline char *rig_raw(const struct rig *rig, const void *bytes, size_t size, int patience_ms)
{
    int connection = rig_connect(rig);
    struct timeval timeout = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)send(connection, bytes, size, MSG_NOSIGNAL);
    return rig_receive(connection);
}

// `headers`: more lines, each with \r\n.
static inline char *rig_ask(const struct rig *rig, const char *method, const char *path,
                            const char *headers)
{
    char *request = mor_asprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                                 method, path, headers);
    int connection = rig_connect(rig);
    (void)send(connection, request, strlen(request), MSG_NOSIGNAL);
    free(request);
    return rig_receive(connection);
}

static inline int rig_code(const char *answer)
{
    int code = 0;
    return sscanf(answer, "HTTP/1.1 %d", &code) == 1 ? code : 0;
}

static inline const char *rig_body(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

#define assert_says(text_, words_)                                                                 \
    do {                                                                                           \
        if (strstr((text_), (words_)) == NULL)                                                     \
            fail_msg("'%s' is not in: %s", (words_), (text_));                                     \
    } while (0)

#endif
