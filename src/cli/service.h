// The running service: every topic of a configuration, started and stopped together.
#ifndef MORAINE_CLI_SERVICE_H
#define MORAINE_CLI_SERVICE_H

#include "cli.h"
#include "moraine/config.h"
#include "moraine/decode.h"
#include "moraine/pipeline.h"
#include "moraine/serve.h"

struct cli_service {
    struct mor_config *config;
    struct mor_registry *registry; // NULL = none configured
    struct mor_budget budget;
    struct mor_pipeline **pipelines;
    size_t pipeline_count;
    atomic_size_t published; // how many of `pipelines` other threads may ask
    struct mor_serve *serve; // NULL = http.listen is off
    int64_t started_ms;
    atomic_llong heartbeat_ms;
};

// Loads a configuration and says on standard error what is wrong with it or has no effect yet. NULL
// when it has errors.
struct mor_config *cli_load_config(const char *path);
// NULL registry and MOR_OK when the configuration names none.
enum mor_status cli_open_registry(const struct mor_config *config,
                                  struct mor_registry **ret_registry,
                                  struct mor_error *err) MOR_CHECKED;

// Sets up logging, memory and signals for a service and starts every topic. The config is consumed
// in every case.
enum mor_status cli_service_start(struct cli_service *service, struct mor_config *take_config,
                                  struct mor_error *err) MOR_CHECKED;
// Opens the HTTP side when the configuration asks for it. cli_service_start calls it before it
// starts topics, so that a port in use ends the program before it joins consumer groups.
enum mor_status cli_service_serve(struct cli_service *service, struct mor_error *err) MOR_CHECKED;
// The main loop lives: to be called more often than every 30 seconds, /livez tells otherwise.
void cli_service_beat(struct cli_service *service);
// True when no topic runs any more (stopped or failed).
bool cli_service_has_ended(const struct cli_service *service);
// Commits what was taken in, within the configured time; joins everything and frees. Returns the
// number of topics that had failed.
size_t cli_service_stop(struct cli_service *service);
// Blocks SIGTERM and SIGINT (and SIGHUP) for the whole process; to be called before threads start.
void cli_block_signals(void);
// Waits up to timeout_ms for one of them; 0 = none came.
int cli_wait_signal(int64_t timeout_ms);

#endif
