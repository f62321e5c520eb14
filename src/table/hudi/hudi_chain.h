// The chain: in which order the instances of this program changed the table, decided by
// compare-and-swap.
//
// `.hoodie/moraine/slots/<20 digits>` is one decision each, created by put-if-absent and never
// changed: slot n + 1 exists at most once, so of all instances that planned on slot n one gets its
// change in and the others begin again. A slot names files in a staging folder and the places they
// belong to; the last of them is the file that makes the change visible (the completed instant).
// What a slot says is done by whoever finds it undone ("helping"), and slot n + 1 is only put when
// slot n is done. A staged file exists once and is renamed, so each step can happen only once,
// however late a stopped process goes on with it: when the last file has left the staging folder,
// the slot is done for ever, also when an operator or the archiver removes the instant again.
//
// A change, for commits and for rewrites of files alike:
//
//   hudi_change_init           an instant of its own
//   hudi_change_stage_key      keys to write files under (names may be made durable later)
//   hudi_change_add, _put      where they belong
//   hudi_chain_head, check     that what the change builds on is still so
//   hudi_change_decide         slot, files, publication
//   hudi_change_done           removes what was staged in vain
#ifndef MORAINE_TABLE_HUDI_CHAIN_H
#define MORAINE_TABLE_HUDI_CHAIN_H

#include <pthread.h>

#include "hudi/hudi_timeline.h"
#include "moraine/base/uuid.h"

#define HUDI_SLOTS_PREFIX    ".hoodie/moraine/slots"
#define HUDI_STAGING_PREFIX  ".hoodie/moraine/staging"
#define HUDI_ATTACHED_PREFIX ".hoodie/moraine/attached"
#define HUDI_SLOT_BYTES_MAX  (256u << 20)
#define HUDI_SLOTS_KEPT      1000

struct hudi_table;

// ---- slots --------------------------------------------------------------------------------------

enum hudi_slot_kind {
    HUDI_SLOT_COMMIT,  // rows of a batch
    HUDI_SLOT_REWRITE, // files of the table in another form: compaction, clustering, clean
    HUDI_SLOT_FOLLOW,  // somebody else took the table back to `version`
};

struct hudi_move {
    const char *from; // staged key
    const char *to;
    int64_t size_bytes;
};

// Zero-initialised is a valid empty slot.
struct hudi_slot {
    struct mor_arena arena; // of all that follows
    uint64_t number;        // from 1; 0 = there is no slot
    enum hudi_slot_kind kind;
    char batch[MOR_UUID_TEXT_SIZE];
    char previous[MOR_UUID_TEXT_SIZE]; // batch of slot number - 1, "" for the first
    const char *writer;                // instance, for people
    char instant[HUDI_TIME_SIZE];
    char completion[HUDI_TIME_SIZE]; // layout 1: the instant
    char version[HUDI_TIME_SIZE];    // newest commit of the chain that the table has now, "" = none
    enum hudi_action completed;      // of the instant's completed file, NONE = there is none
    const char **partitions;         // that get their metadata file first
    size_t partition_count;
    // In this order. The last publishes; all names in other folders are durable before.
    struct hudi_move *moves;
    size_t move_count;
    const char **deletes; // keys that go before the last move
    size_t delete_count;
};
void hudi_slot_done(struct hudi_slot *slot);

// The newest slot (number 0: the chain is empty). Any thread.
enum mor_status hudi_chain_head(struct mor_store *store, struct hudi_slot *ret_head,
                                struct mor_error *err) MOR_CHECKED;
// NOT_FOUND when it was cleaned away or never was. DATA when it is not whole. Any thread.
enum mor_status hudi_chain_read(struct mor_store *store, uint64_t number,
                                struct hudi_slot *ret_slot, struct mor_error *err) MOR_CHECKED;
// Does what the head slot says, as far as it is not done. Any thread, several at once, of any
// instance. RETRY: the disk.
enum mor_status hudi_chain_help(struct mor_store *store, const struct hudi_slot *slot,
                                struct mor_error *err) MOR_CHECKED;
// Puts a slot after `slot->number - 1`. CONFLICT: that number is taken, or the chain went on long
// ago. UNKNOWN: it may be in the chain.
enum mor_status hudi_chain_put(struct mor_store *store, const struct hudi_slot *slot,
                               struct mor_error *err) MOR_CHECKED;
// Removes all but the newest `kept` slots up to `head`.
enum mor_status hudi_chain_clean(struct mor_store *store, uint64_t head, uint64_t kept,
                                 struct mor_error *err) MOR_CHECKED;

// ---- changes ------------------------------------------------------------------------------------

// A change in preparation. Owned by one thread, unless said otherwise.
struct hudi_change {
    struct hudi_table *table; // borrowed
    struct hudi_slot slot;    // number and previous: 0 and "" until decided
    bool decided;             // its files must stay
    size_t move_capacity, partition_capacity, delete_capacity;
    struct mor_sink_batch *files; // staged data files; any thread adds
    pthread_mutex_t mutex;        // guards the staged keys
    char **staged;
    size_t staged_count, staged_capacity;
};

// Picks an instant later than everything on the timeline and in the chain (`timeline_last`: the
// greatest time of the timeline that the caller looked at). `completed`: action of the completed
// file, NONE for a change that only announces something.
void hudi_change_init(struct hudi_change *change, struct hudi_table *table,
                      enum hudi_slot_kind kind, const struct mor_uuid *batch_id,
                      enum hudi_action completed, const char *timeline_last);
// A fresh staged key of this change, owned by it. Any thread.
const char *hudi_change_stage_key(struct hudi_change *change);
// The staged file belongs to `to`. Order counts.
void hudi_change_add(struct hudi_change *change, const char *staged_key, const char *to,
                     int64_t size_bytes);
// Stages bytes for `to`: e.g. requested and inflight files of the instant, after the data.
enum mor_status hudi_change_put(struct hudi_change *change, const char *to, const void *bytes,
                                size_t size_bytes, struct mor_error *err) MOR_CHECKED;
// The partition gets its metadata file, unless it has one.
void hudi_change_add_partition(struct hudi_change *change, const char *partition);
// `key` is deleted with this change (files that a completed rewrite made old).
void hudi_change_add_delete(struct hudi_change *change, const char *key);
// Stages the completed file, puts the slot after `base` and does what it says. The completed file
// is published last; its completion time is later than `timeline_last` and the instant. `completed`
// NULL when the change has no completed file: the last file that was added publishes it. `recheck`
// (NULL = none) is called when everything is durable, right before the slot: anything but MOR_OK
// ends the attempt. CONFLICT: another change came after `base`, nothing happened. UNKNOWN: it is
// decided or may be; hudi_chain_help on the head finishes it. On MOR_OK the change is done.
enum mor_status hudi_change_decide(struct hudi_change *change, const struct hudi_slot *base,
                                   const char *timeline_last, const struct mor_buffer *completed,
                                   enum mor_status (*recheck)(void *context, struct mor_error *err),
                                   void *context, struct mor_error *err) MOR_CHECKED;
// Removes what was staged when it was not decided.
void hudi_change_done(struct hudi_change *change);

#endif
