// What tells the instances of one table apart: a lock for the life of each, and whose turn it is to
// write. Turns only save work: being right does not depend on them.
#ifndef MORAINE_TABLE_WRITER_TURN_H
#define MORAINE_TABLE_WRITER_TURN_H

#include "moraine/storage.h"

// "name (process 17 on host)"; the caller frees.
char *mor_writer_holder(const char *instance);
// Takes the lock `prefix`/<name> for the life of an instance: RETRY with words when one of that
// name has the table open. *ret_name (the caller frees): the name as part of a key. `instance` NULL
// or
// "": the host's name; *ret_instance (the caller frees) is what it is.
enum mor_status mor_writer_lock(struct mor_store *store, const char *prefix, const char *instance,
                                char **ret_instance, char **ret_name, struct mor_lock **ret_lock,
                                struct mor_error *err) MOR_CHECKED;

// A commit takes tens of milliseconds, a large one seconds. Whoever has its turn for longer may be
// stopped, and must not stop the others: what is decided does not depend on turns.
#define MOR_TURN_WAIT_MS 10000

struct mor_turn {
    struct mor_lock *lock; // NULL = not ours
    char stuck_queue[512], stuck_turn[512];
};
// Waits for the turn of this instance (the lock `key`), in vain after wait_ms. The holder that was
// waited for in vain is not waited for again.
void mor_turn_take(struct mor_turn *turn, struct mor_store *store, const char *key,
                   const char *instance, int64_t wait_ms);
void mor_turn_release(struct mor_turn *turn);

#endif
