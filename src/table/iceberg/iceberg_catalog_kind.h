// What a kind of catalog implements; iceberg_catalog.c does what is common.
#ifndef MORAINE_TABLE_ICEBERG_CATALOG_KIND_H
#define MORAINE_TABLE_ICEBERG_CATALOG_KIND_H

#include "iceberg_catalog.h"

struct iceberg_catalog_ops {
    void (*free)(struct iceberg_catalog *catalog);
    enum mor_status (*load)(struct iceberg_catalog *catalog, struct iceberg_metadata **ret_metadata,
                            struct mor_error *err);
    enum mor_status (*create)(struct iceberg_catalog *catalog,
                              const struct iceberg_creation *creation,
                              struct iceberg_metadata **ret_metadata, struct mor_error *err);
    enum mor_status (*commit)(struct iceberg_catalog *catalog, const struct iceberg_metadata *base,
                              const struct iceberg_change *change,
                              struct iceberg_metadata **ret_metadata, struct mor_error *err);
    enum mor_status (*has_moved)(struct iceberg_catalog *catalog,
                                 const struct iceberg_metadata *base, bool *ret_moved,
                                 struct mor_error *err);
};

struct iceberg_catalog {
    const struct iceberg_catalog_ops *ops;
    char uuid[37]; // of the table when it was seen first; "" = not yet
};

#endif
