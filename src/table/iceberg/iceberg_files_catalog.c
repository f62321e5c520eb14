// Tables of the file system: metadata/v<N>.metadata.json, put if absent, and a hint which N is the
// newest.
//
// The put of v<N+1> is the commit; the hint is written after it and may be stale, missing or
// garbage: who reads goes on from it to the last version that is there. Names ending in
// .gz.metadata.json and .metadata.json.gz are versions as well.
#include <stdio.h>
#include <string.h>

#include "iceberg_catalog_kind.h"
#include "moraine/base/clock.h"
#include "moraine/base/fault.h"

#define HINT_KEY       "metadata/version-hint.text"
#define HINT_BYTES_MAX 64
// A version that is read may be cleaned away meanwhile by who commits; then there are newer ones.
#define LOOKS_MAX 20

#define NAME_FORMS 3

struct version {
    int64_t number; // 0 = there is none
    char key[64];
    int64_t size_bytes, modified_ms;
};

struct files_catalog {
    struct iceberg_catalog catalog;
    struct mor_store *store; // borrowed
    struct version seen;     // of `metadata`
    struct iceberg_metadata *metadata;
};

// ---- finding the newest version -----------------------------------------------------------------

static void format_key(size_t form, int64_t number, char ret_key[64])
{
    long long wide = number;
    switch (form) {
    case 0:
        snprintf(ret_key, 64, "metadata/v%lld.metadata.json", wide);
        break;
    case 1:
        snprintf(ret_key, 64, "metadata/v%lld.gz.metadata.json", wide);
        break;
    default:
        snprintf(ret_key, 64, "metadata/v%lld.metadata.json.gz", wide);
        break;
    }
}

// Looks for version `number` under its names; ret_version->number 0 when it is not there.
static enum mor_status look_at(struct mor_store *store, int64_t number, struct version *ret_version,
                               struct mor_error *err)
{
    *ret_version = (struct version){0};
    for (size_t form = 0; form < NAME_FORMS; form++) {
        struct mor_object_info info;
        struct mor_error absent = MOR_ERROR_INIT;
        format_key(form, number, ret_version->key);
        enum mor_status status = mor_store_info(store, ret_version->key, &info, &absent);
        if (status == MOR_OK) {
            ret_version->number = number;
            ret_version->size_bytes = info.size_bytes;
            ret_version->modified_ms = info.modified_ms;
            return MOR_OK;
        }
        if (status != MOR_NOT_FOUND) {
            *err = absent;
            return status;
        }
    }
    return MOR_OK;
}

// The number in a name like "metadata/v12.metadata.json"; 0 when it is none.
static int64_t number_of_name(const char *key)
{
    const char *name = strrchr(key, '/');
    name = name ? name + 1 : key;
    if (*name++ != 'v')
        return 0;
    int64_t number = 0;
    const char *start = name;
    for (; *name >= '0' && *name <= '9' && number < INT64_MAX / 100; name++)
        number = number * 10 + (*name - '0');
    bool known = strcmp(name, ".metadata.json") == 0 || strcmp(name, ".gz.metadata.json") == 0 ||
                 strcmp(name, ".metadata.json.gz") == 0;
    return known && name > start ? number : 0;
}

static bool is_metadata_name(const char *key)
{
    static const char *const endings[] = {".metadata.json", ".metadata.json.gz"};
    size_t length = strlen(key);
    for (size_t i = 0; i < 2; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(key + length - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

// "<5 digits>-<uuid>.metadata.json": written by a catalog of another kind.
static int64_t number_of_catalog_name(const char *key)
{
    const char *name = strrchr(key, '/');
    name = name ? name + 1 : key;
    int64_t number = 0;
    const char *start = name;
    for (; *name >= '0' && *name <= '9' && number < INT64_MAX / 100; name++)
        number = number * 10 + (*name - '0');
    return *name == '-' && name > start && is_metadata_name(key) ? number + 1 : 0;
}

// Highest number among the names in metadata/; 0 = none. When there are only files of another
// catalog, ret_foreign gets the key of the newest ("" = none).
static enum mor_status list_highest(struct mor_store *store, int64_t *ret_number,
                                    char ret_foreign[256], struct mor_error *err)
{
    struct mor_arena arena;
    mor_arena_init(&arena, 0, NULL);
    struct mor_object_info *objects = NULL;
    size_t count = 0;
    int64_t foreign = 0;
    *ret_number = 0;
    ret_foreign[0] = '\0';
    enum mor_status status = mor_store_list_names(store, "metadata", &arena, &objects, &count, err);
    for (size_t i = 0; i < count && status == MOR_OK; i++) {
        int64_t number = number_of_name(objects[i].key);
        int64_t other = number_of_catalog_name(objects[i].key);
        *ret_number = number > *ret_number ? number : *ret_number;
        if (other > foreign && strlen(objects[i].key) < 256) {
            foreign = other;
            snprintf(ret_foreign, 256, "%s", objects[i].key);
        }
    }
    mor_arena_done(&arena);
    return status;
}

// The number in the hint; 0 when it is missing or no number.
static enum mor_status read_hint(struct mor_store *store, int64_t *ret_number,
                                 struct mor_error *err)
{
    MOR_AUTO_BUFFER text = {0};
    struct mor_error wrong = MOR_ERROR_INIT;
    *ret_number = 0;
    enum mor_status status = mor_store_get(store, HINT_KEY, HINT_BYTES_MAX, &text, &wrong);
    if (status == MOR_NOT_FOUND || status == MOR_DATA)
        return MOR_OK;
    if (status != MOR_OK) {
        *err = wrong;
        return status;
    }
    const char *at = mor_buffer_terminate(&text);
    at += strspn(at, " \t\r\n");
    int64_t number = 0;
    for (; *at >= '0' && *at <= '9' && number < INT64_MAX / 100; at++)
        number = number * 10 + (*at - '0');
    if (at[strspn(at, " \t\r\n")] == '\0')
        *ret_number = number;
    return MOR_OK;
}

// The newest version at or after `from`, which is there.
static enum mor_status walk_up(struct mor_store *store, struct version *version,
                               struct mor_error *err)
{
    struct version next;
    do {
        MOR_TRY(look_at(store, version->number + 1, &next, err));
        if (next.number > 0)
            *version = next;
    } while (next.number > 0);
    return MOR_OK;
}

static bool is_same(const struct version *a, const struct version *b)
{
    return a->number == b->number && a->size_bytes == b->size_bytes &&
           a->modified_ms == b->modified_ms && strcmp(a->key, b->key) == 0;
}

static bool is_file_of(const struct version *version, const struct iceberg_metadata *metadata)
{
    return version->number > 0 && version->number == metadata->version &&
           version->size_bytes == metadata->file_size_bytes &&
           version->modified_ms == metadata->file_modified_ms;
}

// From the version seen last, else from the hint, else from the listing.
static enum mor_status find_newest(struct files_catalog *files, struct version *ret_version,
                                   char ret_foreign[256], struct mor_error *err)
{
    int64_t hint = 0;
    *ret_version = (struct version){0};
    ret_foreign[0] = '\0';
    if (files->seen.number > 0) {
        MOR_TRY(look_at(files->store, files->seen.number, ret_version, err));
        if (is_same(ret_version, &files->seen))
            return walk_up(files->store, ret_version, err);
    }
    MOR_TRY(read_hint(files->store, &hint, err));
    if (hint > 0)
        MOR_TRY(look_at(files->store, hint, ret_version, err));
    if (ret_version->number == 0) {
        MOR_TRY(list_highest(files->store, &hint, ret_foreign, err));
        if (hint > 0)
            MOR_TRY(look_at(files->store, hint, ret_version, err));
    }
    return ret_version->number > 0 ? walk_up(files->store, ret_version, err) : MOR_OK;
}

// ---- loading ------------------------------------------------------------------------------------

static enum mor_status read_document(struct files_catalog *files, const char *key,
                                     struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0};
    struct iceberg_metadata *metadata = NULL;
    MOR_TRY(mor_store_get(files->store, key, ICEBERG_METADATA_BYTES_MAX, &bytes, err));
    if (iceberg_metadata_parse(bytes.data, bytes.size_bytes, &metadata, err) != MOR_OK)
        return mor_error_wrap(err, "'%s'", key);
    MOR_AUTO_BUFFER uri = {0};
    iceberg_uri_of_key(metadata, key, &uri);
    metadata->metadata_location = mor_strdup(mor_buffer_terminate(&uri));
    *ret_metadata = metadata;
    return MOR_OK;
}

static void remember(struct files_catalog *files, const struct version *version,
                     struct iceberg_metadata *metadata)
{
    metadata->file_size_bytes = version->size_bytes;
    metadata->file_modified_ms = version->modified_ms;
    iceberg_metadata_unref(files->metadata);
    files->metadata = iceberg_metadata_ref(metadata);
    files->seen = *version;
}

static enum mor_status load_once(struct files_catalog *files,
                                 struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct version version;
    char foreign[256];
    MOR_TRY(find_newest(files, &version, foreign, err));
    if (version.number == 0 && foreign[0] != '\0')
        return read_document(files, foreign, ret_metadata, err); // readable; not ours to commit
    if (version.number == 0)
        return mor_error_set(err, MOR_NOT_FOUND, "there is no Iceberg table at '%s'",
                             mor_store_location(files->store));
    if (files->metadata && is_same(&version, &files->seen)) {
        *ret_metadata = iceberg_metadata_ref(files->metadata);
        return MOR_OK;
    }
    struct iceberg_metadata *metadata = NULL;
    enum mor_status status = read_document(files, version.key, &metadata, err);
    if (status == MOR_NOT_FOUND) {
        err->status = MOR_RETRY;
        return MOR_RETRY;
    }
    if (status != MOR_OK)
        return status;
    metadata->version = version.number;
    remember(files, &version, metadata);
    *ret_metadata = metadata;
    return MOR_OK;
}

static enum mor_status files_load(struct iceberg_catalog *catalog,
                                  struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct files_catalog *files = (struct files_catalog *)catalog;
    enum mor_status status = MOR_RETRY;
    for (int look = 0; look < LOOKS_MAX && status == MOR_RETRY; look++) {
        *err = MOR_ERROR_INIT;
        status = load_once(files, ret_metadata, err);
    }
    return status;
}

static enum mor_status files_has_moved(struct iceberg_catalog *catalog,
                                       const struct iceberg_metadata *base, bool *ret_moved,
                                       struct mor_error *err)
{
    struct files_catalog *files = (struct files_catalog *)catalog;
    struct version version, next;
    MOR_TRY(look_at(files->store, base->version, &version, err));
    MOR_TRY(look_at(files->store, base->version + 1, &next, err));
    *ret_moved = !is_file_of(&version, base) || next.number > 0;
    return MOR_OK;
}

// ---- publishing ---------------------------------------------------------------------------------

// Writes the hint, and again while somebody else published a newer version meanwhile: who writes it
// last has looked after everybody's versions. Failing does no harm.
static void write_hint(struct files_catalog *files, int64_t number)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct version version = {.number = number};
    int64_t written = 0;
    while (written != version.number) {
        char text[24];
        written = version.number;
        int length = snprintf(text, sizeof text, "%lld", (long long)written);
        if (mor_store_replace(files->store, HINT_KEY, text, (size_t)length, &err) != MOR_OK ||
            walk_up(files->store, &version, &err) != MOR_OK)
            return;
    }
}

static bool is_gzip(const struct iceberg_metadata *metadata)
{
    const char *codec = iceberg_metadata_property(metadata, "write.metadata.compression-codec");
    return codec && strcmp(codec, "gzip") == 0;
}

// Puts the document as version `number`; `form` is the same for all who build on one base, so that
// one of them wins.
static enum mor_status publish(struct files_catalog *files, struct iceberg_metadata *metadata,
                               int64_t number, size_t form, struct mor_error *err)
{
    MOR_AUTO_BUFFER bytes = {0}, uri = {0};
    char key[64];
    format_key(form, number, key);
    MOR_TRY(iceberg_metadata_encode(metadata, form == 1, &bytes, err));
    MOR_TRY(mor_store_sync(files->store, err)); // what the version names
    MOR_TRY(mor_fault("iceberg.publish", err));
    MOR_TRY(mor_store_put_new(files->store, key, bytes.data, bytes.size_bytes, err));
    struct mor_error late = MOR_ERROR_INIT;
    if (mor_fault("iceberg.published", &late) != MOR_OK)
        return mor_error_set(err, MOR_UNKNOWN, "%s", late.message);
    iceberg_uri_of_key(metadata, key, &uri);
    metadata->metadata_location = mor_strdup(mor_buffer_terminate(&uri));
    metadata->version = number;
    struct version version = {0};
    if (look_at(files->store, number, &version, &late) == MOR_OK && version.number > 0)
        remember(files, &version, metadata);
    write_hint(files, number);
    return MOR_OK;
}

// Deletes the files that fell out of the metadata log, when the table wants that.
static void clean_log(struct files_catalog *files, const struct iceberg_metadata *base,
                      const struct iceberg_metadata *metadata)
{
    const char *wanted =
        iceberg_metadata_property(metadata, "write.metadata.delete-after-commit.enabled");
    if (!wanted || strcmp(wanted, "true") != 0)
        return;
    const json_t *kept = json_object_get(metadata->document, "metadata-log");
    const char *oldest = iceberg_json_text(json_array_get(kept, 0), "metadata-file");
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(base->document, "metadata-log"), index, entry)
    {
        const char *uri = iceberg_json_text(entry, "metadata-file");
        if (!uri || !oldest || strcmp(uri, oldest) == 0)
            return;
        const char *key = iceberg_key_of_uri(metadata, uri);
        struct mor_error err = MOR_ERROR_INIT;
        if (key && mor_store_delete(files->store, key, false, &err) != MOR_OK)
            return; // is an orphan now
    }
}

// The base is still the file that it was read from, and the table has not become another one.
static enum mor_status check_base(struct files_catalog *files, const struct iceberg_metadata *base,
                                  struct mor_error *err)
{
    struct version version;
    if (base->version <= 0)
        return mor_error_set(err, MOR_FATAL,
                             "the table at '%s' belongs to a catalog: only its catalog can commit "
                             "to it",
                             mor_store_location(files->store));
    MOR_TRY(look_at(files->store, base->version, &version, err));
    if (!is_file_of(&version, base))
        return mor_error_set(err, MOR_CONFLICT,
                             "version %lld of the table's metadata is gone or another one",
                             (long long)base->version);
    return MOR_OK;
}

static enum mor_status files_commit(struct iceberg_catalog *catalog,
                                    const struct iceberg_metadata *base,
                                    const struct iceberg_change *change,
                                    struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct files_catalog *files = (struct files_catalog *)catalog;
    struct iceberg_metadata *metadata = NULL;
    MOR_TRY(check_base(files, base, err));
    MOR_TRY(iceberg_metadata_apply(base, change->requirements, change->updates, mor_clock_wall_ms(),
                                   &metadata, err));
    enum mor_status status =
        publish(files, metadata, base->version + 1, is_gzip(base) ? 1 : 0, err);
    if (status != MOR_OK) {
        iceberg_metadata_unref(metadata);
        return mor_error_wrap(err, "could not commit version %lld of the table's metadata",
                              (long long)(base->version + 1));
    }
    clean_log(files, base, metadata);
    *ret_metadata = metadata;
    return MOR_OK;
}

static enum mor_status files_create(struct iceberg_catalog *catalog,
                                    const struct iceberg_creation *creation,
                                    struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct files_catalog *files = (struct files_catalog *)catalog;
    struct iceberg_metadata *metadata = NULL;
    bool found = false;
    MOR_TRY(iceberg_files_probe(files->store, &found, err));
    if (found)
        return mor_error_set(err, MOR_CONFLICT, "there is an Iceberg table at '%s' already",
                             mor_store_location(files->store));
    MOR_TRY(iceberg_metadata_create(creation, mor_clock_wall_ms(), &metadata, err));
    enum mor_status status = publish(files, metadata, 1, 0, err);
    if (status != MOR_OK) {
        iceberg_metadata_unref(metadata);
        return mor_error_wrap(err, "could not create the table");
    }
    *ret_metadata = metadata;
    return MOR_OK;
}

// ---- opening ------------------------------------------------------------------------------------

static void files_free(struct iceberg_catalog *catalog)
{
    struct files_catalog *files = (struct files_catalog *)catalog;
    iceberg_metadata_unref(files->metadata);
    free(files);
}

static const struct iceberg_catalog_ops files_ops = {
    .free = files_free,
    .load = files_load,
    .create = files_create,
    .commit = files_commit,
    .has_moved = files_has_moved,
};

struct iceberg_catalog *iceberg_catalog_open_files(struct mor_store *store)
{
    struct files_catalog *files = mor_calloc(1, sizeof *files);
    files->catalog.ops = &files_ops;
    files->store = store;
    return &files->catalog;
}

enum mor_status iceberg_files_probe(struct mor_store *store, bool *ret_found, struct mor_error *err)
{
    struct files_catalog files = {.store = store};
    struct version version;
    char foreign[256];
    MOR_TRY(find_newest(&files, &version, foreign, err));
    *ret_found = version.number > 0 || foreign[0] != '\0';
    return MOR_OK;
}
