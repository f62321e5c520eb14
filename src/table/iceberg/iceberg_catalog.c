#include "iceberg_catalog_kind.h"

#include <string.h>
#include <strings.h>

void iceberg_catalog_free(struct iceberg_catalog *catalog)
{
    if (catalog)
        catalog->ops->free(catalog);
}

// A table under the same name with another uuid is another table.
static enum mor_status check_uuid(struct iceberg_catalog *catalog,
                                  struct iceberg_metadata **metadata, struct mor_error *err)
{
    const char *uuid = (*metadata)->uuid; // 36 characters, checked when it was read
    if (catalog->uuid[0] == '\0')
        memcpy(catalog->uuid, uuid, sizeof catalog->uuid);
    if (strcasecmp(catalog->uuid, uuid) == 0)
        return MOR_OK;
    mor_error_fill(err, MOR_FATAL,
                   "the table was replaced by another one: its uuid was %s and is %s. Start again "
                   "with an empty state directory when that was meant",
                   catalog->uuid, uuid);
    iceberg_metadata_unref(*metadata);
    *metadata = NULL;
    return MOR_FATAL;
}

enum mor_status iceberg_catalog_load(struct iceberg_catalog *catalog,
                                     struct iceberg_metadata **ret_metadata, struct mor_error *err)
{
    struct iceberg_metadata *metadata = NULL;
    MOR_TRY(catalog->ops->load(catalog, &metadata, err));
    MOR_TRY(check_uuid(catalog, &metadata, err));
    *ret_metadata = metadata;
    return MOR_OK;
}

enum mor_status iceberg_catalog_create(struct iceberg_catalog *catalog,
                                       const struct iceberg_creation *creation,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err)
{
    struct iceberg_metadata *metadata = NULL;
    MOR_TRY(catalog->ops->create(catalog, creation, &metadata, err));
    MOR_TRY(check_uuid(catalog, &metadata, err));
    *ret_metadata = metadata;
    return MOR_OK;
}

enum mor_status iceberg_catalog_commit(struct iceberg_catalog *catalog,
                                       const struct iceberg_metadata *base,
                                       const struct iceberg_change *change,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err)
{
    return catalog->ops->commit(catalog, base, change, ret_metadata, err);
}

enum mor_status iceberg_catalog_has_moved(struct iceberg_catalog *catalog,
                                          const struct iceberg_metadata *base, bool *ret_moved,
                                          struct mor_error *err)
{
    return catalog->ops->has_moved(catalog, base, ret_moved, err);
}
