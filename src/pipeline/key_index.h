// The key index of a keyed topic: where the row of each key is, and the highest ordering value the
// key has had. It lives in the local state; this is its way there and back: orderings as numbers,
// what a commit carries of it, and how it is made from the rows of a table.
#ifndef MORAINE_PIPELINE_KEY_INDEX_H
#define MORAINE_PIPELINE_KEY_INDEX_H

#include "attachment.h"
#include "moraine/column.h"
#include "moraine/state.h"
#include "moraine/table.h"

// The ordering value of a row as a number that compares as the values do. Numbers of up to 64 bits,
// dates and timestamps are exact; of a decimal the 56 leading bits count, of a text the first eight
// bytes: what differs only behind them gets the same number. Null, and no column, give 0.
uint64_t mor_key_ordering(const struct mor_vector *column, size_t row);
// Whether different values of this column may get the same number.
bool mor_key_ordering_is_coarse(const struct mor_field *field);

// What a commit changes in the index: the entry of the key afterwards. Locations are the numbers
// that the local state gives to the paths of table partitions; where rows have places
// (mor_table_has_places) they are the number of the data file's key << 32 | position in it.
struct mor_key_change {
    struct mor_hash128 key;
    struct mor_state_entry entry;
};

// ---- lookups ------------------------------------------------------------------------------------

// What other instances changed after the point up to which the local state has taken in the table.
// Zero-initialised is empty. It is filled by one thread, then any number may look.
struct mor_key_overlay {
    struct mor_key_change *slots; // a free one has the key {0, 0}, which no record has
    size_t slot_count, count;
};
void mor_key_overlay_put(struct mor_key_overlay *overlay, const struct mor_key_change *change);
void mor_key_overlay_done(struct mor_key_overlay *overlay);

// What is known of the keys. Any thread. Errors are those of mor_state_lookup.
struct mor_known_keys {
    struct mor_state *state;
    const struct mor_key_overlay *overlay; // NULL = nothing
};
enum mor_status mor_known_keys_lookup(const struct mor_known_keys *known,
                                      const struct mor_hash128 *keys, size_t count,
                                      struct mor_state_entry *ret_entries,
                                      struct mor_error *err) MOR_CHECKED;

// ---- attachments --------------------------------------------------------------------------------

// Attachments of the changes of a commit; their note is the number of the commit.
extern const struct mor_attachment_kind mor_key_attachments;
// The bytes for commit `number`; empty when it changes nothing. by_place: locations are places.
void mor_key_attachment(struct mor_state *state, const struct mor_key_change *changes, size_t count,
                        int64_t number, bool by_place, struct mor_buffer *ret_bytes);
// Calls take with the changes of an attachment, a piece at a time, in numbers of this state.
typedef enum mor_status mor_take_key_changes(void *context, const struct mor_key_change *changes,
                                             size_t count, struct mor_error *err);
enum mor_status mor_key_attachment_visit(struct mor_state *state, const struct mor_buffer *bytes,
                                         bool by_place, mor_take_key_changes *take, void *context,
                                         struct mor_error *err) MOR_CHECKED;
// Puts them into the state, between mor_state_load_begin and _finish.
enum mor_status mor_key_load(void *state, const struct mor_key_change *changes, size_t count,
                             struct mor_error *err) MOR_CHECKED;
// Puts those of deleted keys into it.
enum mor_status mor_key_load_graves(void *state, const struct mor_key_change *changes, size_t count,
                                    struct mor_error *err) MOR_CHECKED;
// Adds them to a batch of the state; cannot fail.
enum mor_status mor_key_apply(void *batch, const struct mor_key_change *changes, size_t count,
                              struct mor_error *err) MOR_CHECKED;

// ---- rebuilding ---------------------------------------------------------------------------------

struct mor_key_rebuild {
    struct mor_table *table; // borrowed: how rows are routed, and where they lie by place
    const char *location;
    const struct mor_schema *rows;   // borrowed
    int32_t ordering_column;         // of rows; -1 = none is configured
    const int32_t *required_columns; // of rows, borrowed: what a row needs to be routed,
    size_t required_count;           // besides its key
    struct mor_budget *budget;
    const char *topic; // for the log
};
// Loads the key of every row of the table's newest snapshot, between mor_state_load_begin and
// _finish. Keys that are deleted leave no row; what is known of them stands in attachments.
enum mor_status mor_key_index_rebuild(struct mor_state *state,
                                      const struct mor_key_rebuild *rebuild,
                                      struct mor_error *err) MOR_CHECKED;
// Where rows have places: calls take with the keys of the rows of these slices, a piece at a time,
// in numbers of this state.
enum mor_status mor_key_slices_visit(struct mor_state *state, const struct mor_key_rebuild *rebuild,
                                     const struct mor_slice *slices, size_t slice_count,
                                     mor_take_key_changes *take, void *context,
                                     struct mor_error *err) MOR_CHECKED;

#endif
