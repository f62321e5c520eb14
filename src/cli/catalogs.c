// Catalogs of the configuration, for tables that are named by them.
#include <stdlib.h>

#include "cli.h"
#include "moraine/table.h"
#include "service.h"

void cli_use_catalogs(const struct mor_config *config)
{
    MOR_AUTO_FREE struct mor_table_catalog *catalogs =
        mor_calloc(config->catalog_count + 1, sizeof *catalogs);
    for (size_t i = 0; i < config->catalog_count; i++) {
        const struct mor_config_catalog *from = &config->catalogs[i];
        catalogs[i] = (struct mor_table_catalog){
            .name = from->name,
            .uri = from->uri,
            .warehouse = from->warehouse,
            .token = from->token,
            .credential = from->credential,
            .scope = from->scope,
            .oauth2_server_uri = from->oauth2_server_uri,
            .ca_location = from->ca_location,
        };
    }
    mor_table_catalogs_set(catalogs, config->catalog_count);
}

bool cli_find_catalogs(const struct cli_command *command, const char *table, const char *config)
{
    if (!mor_table_is_in_catalog(table))
        return true;
    const char *path = config ? config : getenv("MORAINE_CONFIG");
    if (path == NULL || *path == '\0') {
        cli_usage(command,
                  "'%s' is in a catalog: name the service file that has it, with --config or in "
                  "MORAINE_CONFIG",
                  table);
        return false;
    }
    struct mor_config *loaded = cli_load_config(path); // notes its catalogs
    mor_config_free(loaded);
    return loaded != NULL;
}
