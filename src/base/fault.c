#include "moraine/base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define FAULT_POINTS_MAX 64

enum fault_action { FAULT_KILL, FAULT_STOP, FAULT_ERROR, FAULT_DELAY };

struct fault_point {
    char name[64];
    enum fault_action action;
    long delay_ms;
    long nth; // 0 = every passing
    atomic_long passed;
};

atomic_size_t mor_fault_armed;
static struct fault_point points[FAULT_POINTS_MAX];

// One "name=action[:ms][@n]"; the text is modified.
static bool parse_point(char *text, struct fault_point *ret_point)
{
    char *action = strchr(text, '=');
    if (action == NULL || action == text || (size_t)(action - text) >= sizeof ret_point->name)
        return false;
    *action++ = '\0';
    char *nth = strchr(action, '@');
    if (nth != NULL) {
        *nth++ = '\0';
        char *end;
        ret_point->nth = strtol(nth, &end, 10);
        if (*nth == '\0' || *end != '\0' || ret_point->nth < 1)
            return false;
    }
    char *delay = strchr(action, ':');
    if (delay != NULL) {
        *delay++ = '\0';
        char *end;
        ret_point->delay_ms = strtol(delay, &end, 10);
        if (*delay == '\0' || *end != '\0' || ret_point->delay_ms < 0)
            return false;
    }
    static const char *const names[] = {"kill", "stop", "error", "delay"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(action, names[i]) == 0) {
            ret_point->action = (enum fault_action)i;
            memcpy(ret_point->name, text, strlen(text) + 1);
            return true;
        }
    }
    return false;
}

enum mor_status mor_fault_init(struct mor_error *err)
{
    const char *setting = getenv("MORAINE_FAILPOINTS");
    if (setting == NULL || *setting == '\0')
        return MOR_OK;
    char *copy = strdup(setting);
    char *rest = copy;
    enum mor_status status = MOR_OK;
    for (char *one = strsep(&rest, ";"); one != NULL && status == MOR_OK;
         one = strsep(&rest, ";")) {
        if (*one == '\0')
            continue;
        long at = one - copy;
        size_t count = atomic_load(&mor_fault_armed);
        if (count == FAULT_POINTS_MAX)
            status = mor_error_set(err, MOR_FATAL, "MORAINE_FAILPOINTS: more than %d points",
                                   FAULT_POINTS_MAX);
        else if (!parse_point(one, &points[count]))
            status = mor_error_set(
                err, MOR_FATAL,
                "MORAINE_FAILPOINTS: character %ld: expected name=kill|stop|error|delay:MS[@N]",
                at);
        else
            atomic_store(&mor_fault_armed, count + 1); // complete before it is seen
    }
    free(copy);
    return status;
}

enum mor_status mor_fault_hit(const char *name, struct mor_error *err)
{
    size_t count = atomic_load(&mor_fault_armed);
    for (size_t i = 0; i < count; i++) {
        struct fault_point *point = &points[i];
        if (strcmp(point->name, name) != 0)
            continue;
        long passing = atomic_fetch_add(&point->passed, 1) + 1;
        if (point->nth != 0 && passing != point->nth)
            continue;
        switch (point->action) {
        case FAULT_KILL:
            raise(SIGKILL);
            break;
        case FAULT_STOP:
            raise(SIGSTOP);
            break;
        case FAULT_ERROR:
            return mor_error_set(err, MOR_RETRY, "failpoint '%s'", name);
        case FAULT_DELAY: {
            struct timespec pause = {point->delay_ms / 1000, point->delay_ms % 1000 * 1000000};
            nanosleep(&pause, NULL);
            break;
        }
        }
    }
    return MOR_OK;
}
