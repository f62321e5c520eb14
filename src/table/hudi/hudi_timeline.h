// The timeline: which instants the table has and how far each came.
//
// Layout 1 (table version 6): .hoodie/T.deltacommit[.requested|.inflight]
// Layout 2 (versions 8, 9):   .hoodie/timeline/T.deltacommit.requested|.inflight, T_C.deltacommit
// T is the requested time, C the completion time, 17 digits yyyyMMddHHmmssSSS in UTC, compared as
// text.
#ifndef MORAINE_TABLE_HUDI_TIMELINE_H
#define MORAINE_TABLE_HUDI_TIMELINE_H

#include "moraine/base/map.h"
#include "moraine/storage.h"

#define HUDI_TIME_SIZE 24 // 17 digits (14 of old tables), zero, room

enum hudi_action {
    HUDI_ACTION_NONE,
    HUDI_ACTION_COMMIT,
    HUDI_ACTION_DELTACOMMIT,
    HUDI_ACTION_COMPACTION,
    HUDI_ACTION_LOGCOMPACTION,
    HUDI_ACTION_CLEAN,
    HUDI_ACTION_ROLLBACK,
    HUDI_ACTION_REPLACECOMMIT,
    HUDI_ACTION_CLUSTERING,
    HUDI_ACTION_SAVEPOINT,
    HUDI_ACTION_RESTORE,
    HUDI_ACTION_INDEXING,
};

const char *hudi_action_name(enum hudi_action action);
enum hudi_action hudi_action_parse(const char *text, size_t length); // NONE when it is no action
// True for actions that bring rows.
bool hudi_action_writes(enum hudi_action action);

struct hudi_instant {
    char time[HUDI_TIME_SIZE];
    char completion[HUDI_TIME_SIZE]; // "" while pending; layout 1: equal to time
    enum hudi_action pending;   // action of the requested/inflight files, NONE = there are none
    enum hudi_action completed; // action of the completed file, NONE = not completed
    bool requested, inflight;   // these files exist
};

struct hudi_timeline {
    int layout;                    // 1 or 2
    struct hudi_instant *instants; // ascending by time
    size_t count;
    char start[HUDI_TIME_SIZE]; // time of the first write instant, "" = none
    char last[HUDI_TIME_SIZE];  // greatest time or completion time, "" = none
    struct mor_map by_time;     // time -> index
};

void hudi_timeline_done(struct hudi_timeline *timeline);
// Lists the timeline folder. The timeline is replaced; untouched on failure.
enum mor_status hudi_timeline_load(struct hudi_timeline *timeline, struct mor_store *store,
                                   int layout, struct mor_error *err) MOR_CHECKED;
const struct hudi_instant *hudi_timeline_find(const struct hudi_timeline *timeline,
                                              const char *time);
// True when data of the instant counts as committed: it is completed, or older than the timeline.
bool hudi_timeline_is_committed(const struct hudi_timeline *timeline, const char *time);
// Equal for timelines with the same completed instants and the same pending compactions; never 0.
uint64_t hudi_timeline_digest(const struct hudi_timeline *timeline);
// Digest of a timeline that has one more completed instant.
uint64_t hudi_timeline_digest_add(uint64_t digest, const char *time, enum hudi_action action);
// Takes in an instant that was completed, without reading the folder again.
void hudi_timeline_complete(struct hudi_timeline *timeline, const char *time,
                            enum hudi_action action, const char *completion);
// When data of a committed instant became visible; its own time where that is not known.
const char *hudi_timeline_completion(const struct hudi_timeline *timeline, const char *time);

// Keys of an instant's files.
enum hudi_state { HUDI_REQUESTED, HUDI_INFLIGHT, HUDI_COMPLETED };
// `completion` matters for completed files of layout 2 only.
char *hudi_instant_key(int layout, const char *time, enum hudi_action action, enum hudi_state state,
                       const char *completion);
// Key of the completed file of an instant that has one.
char *hudi_instant_completed_key(int layout, const struct hudi_instant *instant);

// True for 14 or 17 digits.
bool hudi_time_is_valid(const char *text, size_t length);
void hudi_time_format(int64_t ms, char ret_time[HUDI_TIME_SIZE]);
int64_t hudi_time_parse(const char *time); // milliseconds; the time is valid
// Next time after both the clock and `last` ("" = none): times never repeat or go back.
void hudi_time_next(const char *last, char ret_time[HUDI_TIME_SIZE]);

#endif
