// Where a table's newest metadata are found and how they are replaced: the one atomic point of an
// Iceberg commit.
//
// Two kinds: tables of the file system (v<N>.metadata.json beside a hint) and the REST catalog.
// What a commit changes is said once, as the REST specification has it (struct iceberg_change): the
// REST catalog sends it, the file-system catalog applies it to its copy and publishes the next
// version.
#ifndef MORAINE_TABLE_ICEBERG_CATALOG_H
#define MORAINE_TABLE_ICEBERG_CATALOG_H

#include "iceberg_metadata.h"

// One table in one catalog. One thread at a time, unless said otherwise.
struct iceberg_catalog;

// A table of the file system at the root of `store`, which is borrowed for the catalog's life.
struct iceberg_catalog *iceberg_catalog_open_files(struct mor_store *store);
// A table of a REST catalog (Iceberg's open API). Texts are copied; NULL = none.
struct iceberg_rest_options {
    const char *name; // of the catalog, for messages
    const char *uri;  // without /v1
    const char *warehouse;
    const char *token;             // bearer token
    const char *credential;        // "id:secret" for OAuth2's client credentials
    const char *scope;             // NULL = "catalog"
    const char *oauth2_server_uri; // NULL = <uri>/v1/oauth/tokens
    const char *ca_location;       // file of trusted certificates; NULL = the system's
    const char *namespace_;        // levels separated by dots
    const char *table;
    int64_t timeout_ms; // of one request; 0 = 30 s
    int64_t settle_ms;  // how long an unknown outcome is looked after; 0 = 30 s
};
// Asks nothing yet. FATAL when an option cannot be right.
enum mor_status iceberg_catalog_open_rest(const struct iceberg_rest_options *options,
                                          struct iceberg_catalog **ret_catalog,
                                          struct mor_error *err) MOR_CHECKED;
void iceberg_catalog_free(struct iceberg_catalog *catalog); // NULL allowed

// The newest metadata, strongly. NOT_FOUND: there is no table. FATAL: another table (uuid) is there
// than when this catalog was asked last, in words. RETRY: the catalog does not answer. The caller
// unrefs.
enum mor_status iceberg_catalog_load(struct iceberg_catalog *catalog,
                                     struct iceberg_metadata **ret_metadata,
                                     struct mor_error *err) MOR_CHECKED;
// Makes the table. CONFLICT: somebody else made it, load it. UNKNOWN, RETRY: as in commit.
enum mor_status iceberg_catalog_create(struct iceberg_catalog *catalog,
                                       const struct iceberg_creation *creation,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err) MOR_CHECKED;
// Publishes the change after `base` and nothing else, durably; *ret_metadata (the caller unrefs) is
// the new version. CONFLICT: definitely not applied, a requirement does not hold or another version
// came after the base. UNKNOWN: it may have been applied, or still be: load, look for the snapshot
// id, and when it is not there while main is still the base's, send the same change again. RETRY:
// definitely not applied, the same may succeed later. FATAL: definitely not applied, and never will
// be.
enum mor_status iceberg_catalog_commit(struct iceberg_catalog *catalog,
                                       const struct iceberg_metadata *base,
                                       const struct iceberg_change *change,
                                       struct iceberg_metadata **ret_metadata,
                                       struct mor_error *err) MOR_CHECKED;
// Whether the newest metadata are other than `base`: cheaper than loading where the catalog allows.
enum mor_status iceberg_catalog_has_moved(struct iceberg_catalog *catalog,
                                          const struct iceberg_metadata *base, bool *ret_moved,
                                          struct mor_error *err) MOR_CHECKED;

// True when the store has the metadata of a table.
enum mor_status iceberg_files_probe(struct mor_store *store, bool *ret_found,
                                    struct mor_error *err) MOR_CHECKED;

#endif
