// A crew of threads that runs the same task for every index of a range.
#ifndef MORAINE_PIPELINE_CREW_H
#define MORAINE_PIPELINE_CREW_H

#include <stddef.h>

#include "moraine/base/status.h"

struct mor_crew;
// One task for one index; runs on any thread of the crew.
typedef enum mor_status mor_crew_task(void *context, size_t index, struct mor_error *err);

enum mor_status mor_crew_new(size_t thread_count, const char *name, struct mor_crew **ret_crew,
                             struct mor_error *err) MOR_CHECKED;
void mor_crew_free(struct mor_crew *crew);
// Runs task(context, 0 .. count - 1), the caller's thread helping, and returns the first failure
// (the indices that were not started by then are left out). One caller at a time.
enum mor_status mor_crew_run(struct mor_crew *crew, size_t count, mor_crew_task *task,
                             void *context, struct mor_error *err) MOR_CHECKED;

#endif
