// Failpoints: named places on the path of a record where a test can kill, fail or delay the
// process.
//
//   MORAINE_FAILPOINTS="commit.after_publish=kill;parquet.fsync=error@3;source.poll=delay:200"
//
// Actions: kill (SIGKILL), stop (SIGSTOP), error (the call site returns MOR_RETRY), delay:MS. "@N"
// acts on the N-th passing only (from 1). When the variable is not set a point costs one load.
#ifndef MORAINE_BASE_FAULT_H
#define MORAINE_BASE_FAULT_H

#include "moraine/base/status.h"

extern int mor_fault_armed; // set before threads start

enum mor_status mor_fault_hit(const char *name, struct mor_error *err);
// Reads the environment variable; FATAL with the place of the mistake when it cannot be read.
enum mor_status mor_fault_init(struct mor_error *err) MOR_CHECKED;

static inline enum mor_status mor_fault(const char *name, struct mor_error *err)
{
    return __builtin_expect(mor_fault_armed, 0) ? mor_fault_hit(name, err) : MOR_OK;
}

#endif
