// Whether a location can be written: by writing an object as a commit does, and removing it.

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "check.h"
#include "moraine/base/uuid.h"
#include "moraine/storage.h"
#include "moraine/table.h"

static bool is_local(const char *location)
{
    return strncmp(location, "file://", 7) == 0 || strstr(location, "://") == NULL;
}

// The folder itself, or the nearest one above it that exists: there it would be created.
static char *existing_folder(const char *location)
{
    char *path = mor_strdup(strncmp(location, "file://", 7) == 0 ? location + 7 : location);
    struct stat facts;
    while (stat(path, &facts) != 0 && strrchr(path, '/') != NULL && strcmp(path, "/") != 0) {
        char *slash = strrchr(path, '/');
        slash[slash == path] = '\0';
    }
    return path;
}

// Put-if-absent is the atomic point of every commit: a second put under one name must be refused.
static enum mor_status write_twice(struct mor_store *store, const char *key, struct mor_error *err)
{
    static const char text[] = "written and removed by 'moraine check'\n";
    MOR_TRY(mor_store_put_new(store, key, text, sizeof text - 1, err));
    enum mor_status second = mor_store_put_new(store, key, text, sizeof text - 1, err);
    struct mor_error cleaning = MOR_ERROR_INIT;
    enum mor_status removed = mor_store_delete(store, key, true, &cleaning);
    if (second == MOR_OK)
        return mor_error_set(
            err, MOR_FATAL,
            "the store overwrites an object although it was asked to create it "
            "only if absent: two writers could both commit. It cannot hold tables");
    if (second != MOR_CONFLICT)
        return second;
    if (removed != MOR_OK)
        *err = cleaning;
    return removed;
}

static enum mor_status try_writing(const char *location, struct mor_error *err)
{
    struct mor_uuid id = mor_uuid_v7();
    char name[MOR_UUID_TEXT_SIZE];
    mor_uuid_format(&id, name);
    MOR_AUTO_FREE char *key = mor_asprintf(".moraine-check-%s", name);
    struct mor_store *store;
    MOR_TRY(mor_store_open(location, false, &store, err));
    enum mor_status status = write_twice(store, key, err);
    mor_store_free(store);
    return status;
}

void check_storage(struct check *check, const struct mor_config_topic *topic, const char *key,
                   const char *location)
{
    bool local = is_local(location);
    if (mor_table_is_in_catalog(location))
        return; // the catalog knows where the table lies, or will lie
    if (check->offline && !local)
        return;
    MOR_AUTO_FREE char *folder = local ? existing_folder(location) : mor_strdup(location);
    struct mor_error err = MOR_ERROR_INIT;
    enum mor_status status = try_writing(folder, &err);
    if (status == MOR_OK)
        return;
    const char *advice = !local ? "Check endpoint, region, credentials and the bucket's policy"
                         : err.os_errno == EROFS
                             ? "Mount it writable; under systemd, name it in ReadWritePaths= "
                               "(systemctl edit moraine)"
                             : "Create the folder and make it the service's own (chown moraine:)";
    check_find(check, status == MOR_RETRY || status == MOR_UNKNOWN ? CHECK_AWAY : CHECK_ERROR,
               topic, key, "'%s' cannot be written: %s. %s", location, err.message, advice);
}
