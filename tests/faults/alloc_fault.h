// Runs a piece of work once for every allocation that it makes, each time in a process of its own
// in which that allocation is refused: alone, or with all that follow. What may happen: the work is
// done, and right; it returns an error that says that memory or a library failed, and has given
// back all memory; the process ends with the words of base/memory.c. Nothing else may: no signal,
// no hang, no error that blames the data.
//
// MORAINE_FAULTS=all tries every allocation, MORAINE_FAULTS=<n>-<m> those from the n-th to the
// m-th, MORAINE_FAULTS=<n> the n-th only and raises SIGUSR1 there (for a debugger); otherwise some
// are tried, spread over all.
#ifndef MORAINE_TESTS_ALLOC_FAULT_H
#define MORAINE_TESTS_ALLOC_FAULT_H

#include "moraine/base/status.h"

enum alloc_outcome { ALLOC_DONE, ALLOC_REFUSED, ALLOC_ENDED };

struct alloc_work {
    const char *name;
    void *context;
    // In the parent, before the process is made; may be NULL.
    void (*before)(void *context);
    // In the process. Checks what it made, with abort(), and frees all it has.
    enum mor_status (*run)(void *context, struct mor_error *err);
    // In the parent: what the process left behind must be right. May be NULL.
    void (*after)(void *context, enum alloc_outcome outcome);
};

// Skips the test under sanitizers, which have an allocator of their own.
void alloc_fault_sweep(const struct alloc_work *work);

#endif
