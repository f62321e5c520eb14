// A topic file of any bytes either loads or is refused with at least one message, each of which
// names a place.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moraine/base/memory.h"
#include "moraine/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// An unnamed file with these bytes; its path is good as long as the descriptor is open.
static int hold(const void *data, size_t size, char path[64])
{
    int file = memfd_create("moraine", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char topic_path[64], service_path[64];
    int topic = hold(data, size, topic_path);
    MOR_AUTO_FREE char *text = mor_asprintf("kafka: {bootstrap.servers: localhost:9092}\n"
                                            "schema_registry: {url: http://localhost:8081}\n"
                                            "topics: %s\n",
                                            topic_path);
    int service = hold(text, strlen(text), service_path);
    struct mor_config *config = NULL;
    struct mor_config_report report = {0};
    enum mor_status status = mor_config_load(service_path, &config, &report);
    if ((status == MOR_OK) != (report.error_count == 0) || (status == MOR_OK) != (config != NULL))
        abort();
    for (size_t i = 0; i < report.count; i++) {
        if (!strstr(report.notes[i].text, ": "))
            abort();
    }
    mor_config_report_done(&report);
    mor_config_free(config);
    close(service);
    close(topic);
    return 0;
}
