// Failpoints: named places on the path of a record where a test can kill, fail or delay the
// process.
//
//   MORAINE_FAILPOINTS="commit.after_publish=kill;parquet.fsync=error@3;source.poll=delay:200"
//
// Actions: kill (SIGKILL), stop (SIGSTOP), error (the call site returns MOR_RETRY), delay:MS. "@N"
// acts on the N-th passing only (from 1). When the variable is not set a point costs one load.
#ifndef MORAINE_BASE_FAULT_H
#define MORAINE_BASE_FAULT_H

#include <stdatomic.h>

#include "moraine/base/status.h"

extern atomic_size_t mor_fault_armed; // number of points; more may be armed at any time

enum mor_status mor_fault_hit(const char *name, struct mor_error *err);
// Reads the environment variable and adds its points; FATAL with the place of the mistake when it
// cannot be read.
enum mor_status mor_fault_init(struct mor_error *err) MOR_CHECKED;

static inline enum mor_status mor_fault(const char *name, struct mor_error *err)
{
    return __builtin_expect(atomic_load_explicit(&mor_fault_armed, memory_order_relaxed) != 0, 0)
               ? mor_fault_hit(name, err)
               : MOR_OK;
}

#endif
