// The sampling thread: asks for a snapshot a few times per second and keeps the newest view.
#ifndef MORAINE_SERVE_SAMPLE_H
#define MORAINE_SERVE_SAMPLE_H

#include "serve_view.h"

struct serve_sampler;
struct serve_guard;
// Takes the first view itself, then starts the thread, which has the guard look before each sample.
enum mor_status serve_sampler_open(const struct mor_serve_options *options,
                                   struct serve_guard *guard, struct serve_sampler **ret_sampler,
                                   struct mor_error *err) MOR_CHECKED;
void serve_sampler_free(struct serve_sampler *sampler);
// Any thread: the newest view; give it back with serve_view_unref.
struct serve_view *serve_sampler_view(struct serve_sampler *sampler);
// Any thread: calls `write` with the memory locked; it must not wait.
void serve_sampler_memory(struct serve_sampler *sampler,
                          void (*write)(const struct serve_memory *memory, void *context),
                          void *context);

#endif
