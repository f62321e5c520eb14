// The running service: every topic of a configuration, started and stopped together, and changed
// while it runs.
#ifndef MORAINE_CLI_SERVICE_H
#define MORAINE_CLI_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli.h"
#include "moraine/config.h"
#include "moraine/decode.h"
#include "moraine/maintain.h"
#include "moraine/pipeline.h"
#include "moraine/serve.h"

// What one loading of the configuration gave. It lives as long as a topic runs by it; the first one
// as long as the service, because the options that need a restart come from there.
struct cli_generation {
    struct mor_config *config;
    struct mor_registry *registry; // NULL = none configured
    atomic_int users;
};

// One topic. The main thread makes, replaces and drops topics; others hold them while they ask.
struct cli_topic {
    struct cli_generation *generation;
    const struct mor_config_topic *config; // of the generation
    struct mor_pipeline *pipeline;         // NULL = could not be started: see failure
    struct mor_maintainer *maintainer;     // of the topic's table; NULL = could not be started
    char *failure;
    atomic_int users;
    // main thread only
    bool leaving;                // was asked to stop, by a reload
    struct cli_topic *successor; // takes the place when it has stopped; NULL = nobody
};

struct cli_service {
    const char *config_path; // borrowed; NULL = cannot be reloaded
    struct cli_generation *first;
    struct cli_generation *current; // main thread only
    struct mor_budget budget;
    struct mor_serve *serve; // NULL = http.listen is off
    int64_t started_ms;
    int64_t watchdog_ms, fed_ms; // main thread: interval (0 = nobody listens), when fed last
    size_t told_ended;           // main thread: what the supervisor knows of cli_topics_ended
    atomic_llong heartbeat_ms;
    pthread_mutex_t mutex; // what follows
    struct cli_topic **topics;
    size_t topic_count;
    char reload_trouble[1024]; // why the last reload was refused; "" = it was not
    int64_t reload_ms;         // when that was
    int64_t reloads_done, reloads_refused;
};

// Loads a configuration and says on standard error what is wrong with it or has no effect yet. NULL
// when it has errors.
struct mor_config *cli_load_config(const char *path);
// Makes the configuration's catalogs known to the process, in place of those before.
void cli_use_catalogs(const struct mor_config *config);
// NULL registry and MOR_OK when the configuration names none.
enum mor_status cli_open_registry(const struct mor_config *config,
                                  struct mor_registry **ret_registry,
                                  struct mor_error *err) MOR_CHECKED;

// Level and format of the log, and what it must not show.
void cli_configure_log(const struct mor_config *config);

// Sets up logging, memory and signals for a service, opens its HTTP side and starts every topic.
// The config is consumed in every case; `config_path` is where a reload reads it again, NULL =
// never.
enum mor_status cli_service_start(struct cli_service *service, const char *config_path,
                                  struct mor_config *take_config,
                                  struct mor_error *err) MOR_CHECKED;
// To be called by the main loop more often than every 30 seconds, /livez tells otherwise: says that
// the loop lives, to the supervisor too, and lets topics take the place of stopped ones.
void cli_service_tend(struct cli_service *service);
// Reads the configuration again: topics that are new, gone, changed or failed are started, stopped
// or started again, the others go on untouched. A configuration with an error is refused as a
// whole.
void cli_service_reload(struct cli_service *service);
// Commits what was taken in, within the configured time; joins everything and frees. Returns the
// number of topics that had failed.
size_t cli_service_stop(struct cli_service *service);
// Blocks SIGTERM, SIGINT and SIGHUP for the whole process; to be called before threads start.
void cli_block_signals(void);
// Waits up to timeout_ms for one of them; 0 = none came.
int cli_wait_signal(int64_t timeout_ms);

// ---- between the files of the service -----------------------------------------------------------

// Opens the HTTP side when the configuration asks for it (service_http.c). Before topics start, so
// that a port in use ends the program before it joins consumer groups.
enum mor_status cli_service_serve(struct cli_service *service, struct mor_error *err) MOR_CHECKED;

// service_upkeep.c. Starts to look after the topic's table, and tells of it.
void cli_upkeep_start(struct cli_service *service, struct cli_topic *topic);
void cli_upkeep_fill(struct mor_serve_snapshot *snapshot, struct mor_serve_topic *topic,
                     const struct cli_topic *from);

// service_topics.c. The config is consumed in every case.
enum mor_status cli_generation_new(struct mor_config *take_config,
                                   struct cli_generation **ret_generation,
                                   struct mor_error *err) MOR_CHECKED;
void cli_generation_unref(struct cli_generation *generation); // NULL is fine
// What is left of the configured memory for records and files in the making.
size_t cli_memory_for_records(const struct mor_config *config);
// What of it large buffers may hold that nobody uses at the moment.
size_t cli_memory_kept(const struct mor_config *config);
// References to every topic of the moment, in an array that the caller frees. Any thread.
struct cli_topic **cli_topics_ref(struct cli_service *service, size_t *ret_count);
void cli_topics_unref(struct cli_topic **topics, size_t count); // and frees the array
struct cli_topic_changes {
    size_t added, removed, restarted, kept;
};
// Makes the topics those of `generation` (main thread). all: also those whose files say the same.
void cli_topics_follow(struct cli_service *service, struct cli_generation *generation, bool all,
                       struct cli_topic_changes *ret_changes);
// How many topics run no more (stopped or failed) and are not about to be replaced.
size_t cli_topics_ended(const struct cli_service *service);
// Asks every topic to stop by `deadline_ms` (monotonic); nobody succeeds them.
void cli_topics_stop(struct cli_service *service, int64_t deadline_ms);
// Puts successors in the place of topics that have stopped.
void cli_topics_succeed(struct cli_service *service);
bool cli_topic_has_failed(struct cli_topic *topic);

#endif
