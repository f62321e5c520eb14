// Bounded queue of owned pointers between threads: many producers, many consumers.
#ifndef MORAINE_BASE_QUEUE_H
#define MORAINE_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mor_queue;

// item_limit > 0; byte_limit 0 = items only.
struct mor_queue *mor_queue_new(size_t item_limit, size_t byte_limit);
void mor_queue_free(struct mor_queue *queue); // must be empty or the items are lost to the caller

// Takes `item` in every case but false (queue full or closed: the caller still owns it).
bool mor_queue_try_push(struct mor_queue *queue, void *item, size_t size_bytes);
// Waits until there is room; false only when the queue was closed.
bool mor_queue_push(struct mor_queue *queue, void *item, size_t size_bytes);
// Past the limits, never waits: for the few acknowledgements that must not be lost.
void mor_queue_force_push(struct mor_queue *queue, void *item, size_t size_bytes);
// NULL when nothing came within timeout_ms (0 = do not wait, -1 = for ever) or closed and empty.
void *mor_queue_pop(struct mor_queue *queue, int64_t timeout_ms);
// No more pushes; poppers get what is left and then NULL.
void mor_queue_close(struct mor_queue *queue);
size_t mor_queue_count(struct mor_queue *queue);
size_t mor_queue_bytes(struct mor_queue *queue);

#endif
