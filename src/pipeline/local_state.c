#include "local_state.h"

#include <stdio.h>

#include "dedup.h"
#include "moraine/base/clock.h"

#define TIDY_INTERVAL_MS 300000
#define NAMES_MAX        (1u << 20) // some 130 MiB
#define OVERLAY_KEYS_MAX (1u << 21) // of moved rows: about 130 MiB

enum mor_status mor_local_state_open(const struct mor_local_state_options *options,
                                     struct mor_table *table, struct mor_local_state **ret_local,
                                     struct mor_state_outcome *ret_outcome, struct mor_error *err)
{
    MOR_AUTO_FREE char *folder = mor_asprintf("%s/state/%s", options->state_dir, options->topic);
    MOR_AUTO_BUFFER by = {0};
    for (size_t i = 0; i < options->dedup_by_count; i++)
        mor_buffer_printf(&by, "%s%s", i > 0 ? "," : "", options->dedup_by[i]);
    const struct mor_state_options wanted = {.folder = folder,
                                             .table = options->location,
                                             .dedup_by = mor_buffer_terminate(&by),
                                             .dedup_window_ms = options->window_ms,
                                             .index = options->index,
                                             .grave_ms = options->grave_ms,
                                             .salt = options->salt,
                                             .budget = options->budget,
                                             .share_bytes = options->share_bytes};
    struct mor_state *state;
    MOR_TRY(mor_state_open(&wanted, &state, ret_outcome, err));
    struct mor_local_state *local = mor_calloc(1, sizeof *local);
    *local = (struct mor_local_state){.state = state,
                                      .table = table,
                                      .has_ids = options->dedup_by_count > 0,
                                      .has_index = options->index,
                                      .by_place = options->index && mor_table_has_places(table),
                                      .salt = options->salt,
                                      .window_ms = options->window_ms,
                                      .names_max =
                                          options->names_max > 0 ? options->names_max : NAMES_MAX,
                                      .rebuild = options->rebuild};
    *ret_local = local;
    return MOR_OK;
}

void mor_local_state_free(struct mor_local_state *local)
{
    if (local == NULL)
        return;
    mor_state_free(local->state);
    free(local);
}

// ---- the mark -----------------------------------------------------------------------------------

// A table without a ledger has no property: the mark's offsets stay empty.
static struct mor_state_mark mark_at(const char *version, const struct mor_ledger *ledger,
                                     const char *property)
{
    property = property != NULL ? property : "";
    struct mor_state_mark mark = {.version = version,
                                  .offsets = property,
                                  .offsets_size_bytes = strlen(property),
                                  .watermark_ms = ledger->watermark_ms};
    (void)mor_uuid_parse(ledger->batch_id, strlen(ledger->batch_id), &mark.batch_id);
    return mark;
}

bool mor_local_state_is_at(const struct mor_local_state *local, const struct mor_ledger *ledger,
                           const char *version)
{
    const struct mor_state_mark *mark = mor_state_mark_of(local->state);
    if (mark == NULL || (local->by_place && strcmp(mark->version, version) != 0))
        return false;
    if (ledger->batch_id[0] == '\0')
        return mark->offsets_size_bytes == 0;
    char batch[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&mark->batch_id, batch);
    return strcmp(batch, ledger->batch_id) == 0;
}

enum mor_status mor_local_state_version(const struct mor_local_state *local, char ret_version[64],
                                        struct mor_error *err)
{
    ret_version[0] = '\0';
    if (!local->by_place)
        return MOR_OK;
    enum mor_status status = mor_table_version_at(local->table, INT64_MAX, ret_version, err);
    if (status != MOR_NOT_FOUND)
        return status;
    *err = MOR_ERROR_INIT; // the table has no commits
    return MOR_OK;
}

// The version after which attachments are missing, NULL = all of them are.
static const char *version_of(const struct mor_state_mark *mark)
{
    return mark != NULL && *mark->version != '\0' ? mark->version : NULL;
}

// Are the changes of keys of every commit after the mark still there?
static enum mor_status check_continuity(const struct mor_state_mark *mark,
                                        const struct mor_ledger *ledger, struct mor_error *err)
{
    MOR_AUTO_FREE char *property = mor_strndup(mark->offsets, mark->offsets_size_bytes);
    struct mor_ledger taken_in;
    MOR_TRY(mor_ledger_parse(*property != '\0' ? property : NULL, &taken_in, err));
    int64_t number = taken_in.number;
    mor_ledger_done(&taken_in);
    if (ledger->keys.from > 0 && number + 1 >= ledger->keys.from && number <= ledger->number)
        return MOR_OK;
    return mor_error_set(err, MOR_NOT_FOUND,
                         "the local state is at commit %lld, changes of keys are kept from commit "
                         "%lld on",
                         (long long)number, (long long)ledger->keys.from);
}

// ---- catching up --------------------------------------------------------------------------------

typedef enum mor_status load_bytes(struct mor_local_state *local, const struct mor_buffer *bytes,
                                   void *context, struct mor_error *err);

static enum mor_status load_ids(struct mor_local_state *local, const struct mor_buffer *bytes,
                                void *context, struct mor_error *err)
{
    (void)context;
    return mor_dedup_load(local->state, bytes, err);
}

static enum mor_status load_keys(struct mor_local_state *local, const struct mor_buffer *bytes,
                                 void *context, struct mor_error *err)
{
    (void)context;
    return mor_key_attachment_visit(local->state, bytes, local->by_place, mor_key_load,
                                    local->state, err);
}

static enum mor_status load_graves(struct mor_local_state *local, const struct mor_buffer *bytes,
                                   void *context, struct mor_error *err)
{
    (void)context;
    return mor_key_attachment_visit(local->state, bytes, local->by_place, mor_key_load_graves,
                                    local->state, err);
}

// Hands the attachments of commits after `after` (NULL = all) to `load`, oldest first. *ret_last:
// version of the newest, untouched when there is none; the caller frees.
static enum mor_status load_attachments(struct mor_local_state *local,
                                        const struct mor_attachment_kind *kind, const char *after,
                                        load_bytes *load, void *context, char **ret_last,
                                        struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_attachment *attachments;
    size_t count = 0;
    MOR_AUTO_BUFFER bytes = {.budget = local->rebuild.budget};
    enum mor_status status =
        mor_table_attachments(local->table, kind->name, after, &arena, &attachments, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        status = mor_attachment_read(local->table, kind, attachments[i].key, &bytes, err);
        if (status == MOR_OK) {
            status = load(local, &bytes, context, err);
        } else if (status == MOR_NOT_FOUND) { // dropped meanwhile: nobody needs it any more
            *err = MOR_ERROR_INIT;
            status = MOR_OK;
        }
    }
    if (status == MOR_OK && count > 0 && ret_last != NULL) {
        free(*ret_last);
        *ret_last = mor_strdup(attachments[count - 1].version);
    }
    mor_arena_done(&arena);
    return status;
}

// Hands the keys of rows that commits after `after` moved to `take`: whatever the attachments of
// these commits and of those before say of their place, they lie where they lie now. NOT_FOUND:
// more than `rows_max` rows, or it is not known.
static enum mor_status visit_moved(struct mor_local_state *local, const char *after,
                                   int64_t rows_max, mor_take_key_changes *take, void *context,
                                   struct mor_error *err)
{
    if (after == NULL)
        return mor_error_set(err, MOR_NOT_FOUND,
                             "the local state is older than the table's first commit");
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_slice *slices;
    size_t count = 0;
    enum mor_status status =
        mor_table_moved_files(local->table, after, &arena, &slices, &count, err);
    int64_t rows = 0;
    for (size_t i = 0; status == MOR_OK && i < count; i++)
        rows += slices[i].base_row_count;
    if (status == MOR_OK && rows > rows_max)
        status = mor_error_set(err, MOR_NOT_FOUND, "%lld rows were moved", (long long)rows);
    if (status == MOR_OK && count > 0)
        status =
            mor_key_slices_visit(local->state, &local->rebuild, slices, count, take, context, err);
    mor_arena_done(&arena);
    return status;
}

static bool holds_keys(const struct mor_local_state *local)
{
    struct mor_state_status status;
    mor_state_status(local->state, &status);
    return status.index_entries > 0;
}

// The index from nothing. What is known of deleted keys stands in attachments only, and a row that
// is in the table says more than they do. They are listed before the scan: what is committed after
// that comes again when the state catches up from *version.
static enum mor_status make_index(struct mor_local_state *local, char **version,
                                  struct mor_error *err)
{
    MOR_TRY(load_attachments(local, &mor_key_attachments, NULL, load_graves, NULL, version, err));
    return mor_key_index_rebuild(local->state, &local->rebuild, err);
}

// `head`: by place, a version that everything below has at least taken in.
static enum mor_status load_keys_since(struct mor_local_state *local, const char *after,
                                       const char *head, char **version, struct mor_error *err)
{
    bool is_new = mor_state_mark_of(local->state) == NULL;
    if (is_new)
        MOR_TRY(make_index(local, version, err));
    const char *from = is_new && **version != '\0' ? *version : after;
    MOR_TRY(load_attachments(local, &mor_key_attachments, from, load_keys, NULL, version, err));
    if (!local->by_place)
        return MOR_OK;
    // what was scanned may have been moved since, from where the attachments say it was
    if (*head != '\0' && !(after != NULL && strcmp(after, head) == 0))
        MOR_TRY(
            visit_moved(local, is_new ? head : after, INT64_MAX, mor_key_load, local->state, err));
    free(*version);
    *version = mor_strdup(head);
    return MOR_OK;
}

static enum mor_status load_all(struct mor_local_state *local, const char *after, const char *head,
                                char **version, struct mor_error *err)
{
    if (local->has_index)
        MOR_TRY(load_keys_since(local, after, head, version, err));
    if (!local->has_ids)
        return MOR_OK;
    // listed later than the keys, so it may see a commit more than they did
    char **reached = local->has_index ? NULL : version;
    return load_attachments(local, &mor_dedup_attachments, after, load_ids, NULL, reached, err);
}

static size_t count_names(const struct mor_local_state *local)
{
    struct mor_state_status status;
    mor_state_status(local->state, &status);
    return status.name_count;
}

static enum mor_status check_names(const struct mor_local_state *local, struct mor_error *err)
{
    size_t count = local->by_place ? count_names(local) : 0;
    if (count <= local->names_max || count / 4 <= local->names_first)
        return MOR_OK;
    return mor_error_set(err, MOR_NOT_FOUND, "the local state knows %zu files, most of them gone",
                         count);
}

enum mor_status mor_local_state_catch_up(struct mor_local_state *local,
                                         const struct mor_ledger *ledger, const char *property,
                                         struct mor_error *err)
{
    char head[64];
    MOR_TRY(check_names(local, err));
    MOR_TRY(mor_local_state_version(local, head, err));
    if (mor_local_state_is_at(local, ledger, head))
        return MOR_OK;
    const struct mor_state_mark *mark = mor_state_mark_of(local->state);
    if (local->has_index && mark != NULL)
        MOR_TRY(check_continuity(mark, ledger, err));
    if (local->has_index && mark == NULL && holds_keys(local))
        return mor_error_set(err, MOR_NOT_FOUND, "the key index was left half made");
    MOR_AUTO_FREE char *before = mor_strdup(version_of(mark) != NULL ? mark->version : "");
    MOR_AUTO_FREE char *version = mor_strdup(before);
    MOR_TRY(mor_state_load_begin(local->state, ledger->watermark_ms, err));
    MOR_TRY(load_all(local, *before != '\0' ? before : NULL, head, &version, err));
    struct mor_state_mark reached = mark_at(version, ledger, property);
    bool is_new = mark == NULL;
    MOR_TRY(mor_state_load_finish(local->state, &reached, err));
    if (is_new && local->by_place)
        local->names_first = count_names(local);
    return MOR_OK;
}

enum mor_status mor_local_state_reset(struct mor_local_state *local, struct mor_error *err)
{
    MOR_TRY(mor_state_reset(local->state, err));
    local->names_first = 0;
    atomic_store(&local->damaged, false);
    return MOR_OK;
}

static enum mor_status put_over(void *overlay, const struct mor_key_change *changes, size_t count,
                                struct mor_error *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++)
        mor_key_overlay_put(overlay, &changes[i]);
    return MOR_OK;
}

static enum mor_status overlay_keys(struct mor_local_state *local, const struct mor_buffer *bytes,
                                    void *overlay, struct mor_error *err)
{
    return mor_key_attachment_visit(local->state, bytes, local->by_place, put_over, overlay, err);
}

enum mor_status mor_local_state_overlay(struct mor_local_state *local,
                                        const struct mor_ledger *ledger, const char *version,
                                        struct mor_key_overlay *overlay, struct mor_error *err)
{
    if (mor_local_state_is_at(local, ledger, version))
        return MOR_OK;
    const struct mor_state_mark *mark = mor_state_mark_of(local->state);
    if (mark != NULL)
        MOR_TRY(check_continuity(mark, ledger, err));
    const char *after = version_of(mark);
    MOR_TRY(load_attachments(local, &mor_key_attachments, after, overlay_keys, overlay, NULL, err));
    if (!local->by_place)
        return MOR_OK;
    return visit_moved(local, after, OVERLAY_KEYS_MAX, put_over, overlay, err);
}

enum mor_status mor_local_state_apply(struct mor_local_state *local, struct mor_state_batch *batch,
                                      const char *version, const struct mor_ledger *ledger,
                                      const char *property, bool continues, struct mor_error *err)
{
    const struct mor_state_mark *before = mor_state_mark_of(local->state);
    struct mor_state_mark mark =
        continues || before == NULL ? mark_at(version, ledger, property) : *before;
    return mor_state_batch_apply(local->state, batch, &mark, err);
}

// ---- tidying ------------------------------------------------------------------------------------

enum mor_status mor_local_state_tidy(struct mor_local_state *local, const struct mor_ledger *ledger,
                                     struct mor_error *err)
{
    int64_t now_ms = mor_clock_mono_ms();
    if (now_ms < local->tidy_at_ms)
        return MOR_OK;
    local->tidy_at_ms = now_ms + TIDY_INTERVAL_MS;
    // one round later than they became superfluous: somebody may be reading them
    int64_t superfluous = local->keys_superfluous;
    local->keys_superfluous = ledger->keys.from;
    if (superfluous > 0)
        MOR_TRY(mor_attachments_drop(local->table, &mor_key_attachments, superfluous, err));
    // one more window than needed: an instance may be a while behind
    if (local->has_ids && ledger->watermark_ms >= INT64_MIN + 2 * local->window_ms)
        MOR_TRY(mor_attachments_drop(local->table, &mor_dedup_attachments,
                                     ledger->watermark_ms - 2 * local->window_ms, err));
    return MOR_OK;
}
