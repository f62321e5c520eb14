// Tables named by catalog: "lake:shop.orders".
#ifndef MORAINE_TABLE_CATALOGS_H
#define MORAINE_TABLE_CATALOGS_H

#include "moraine/table.h"

// As mor_table_open_write and so on, for a location that mor_table_is_in_catalog.
enum mor_status mor_catalogs_open_write(const struct mor_table_options *options,
                                        struct mor_table **ret_table,
                                        struct mor_error *err) MOR_CHECKED;
enum mor_status mor_catalogs_open_read(const char *location, struct mor_budget *budget,
                                       struct mor_table **ret_table,
                                       struct mor_error *err) MOR_CHECKED;
enum mor_status mor_catalogs_open_rewrite(const char *location, const char *instance,
                                          struct mor_budget *budget, struct mor_table **ret_table,
                                          struct mor_error *err) MOR_CHECKED;

#endif
