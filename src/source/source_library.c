// The linked librdkafka: which one it is, and what an old one cannot protect against.
#include <librdkafka/rdkafka.h>

#include <stdio.h>

#include "moraine/source.h"

#ifndef MORAINE_LIBRDKAFKA_ORIGIN
#define MORAINE_LIBRDKAFKA_ORIGIN "of unknown origin"
#endif

struct protection {
    int since;
    const char *missing;
};

// Sorted by version; the texts are read in a start-up warning.
static const struct protection protections[] = {
    {0x020100ff, "no truncation check: records that Kafka lost after a leader change are not "
                 "noticed (librdkafka 2.1)"},
    {0x020101ff,
     "no reliable watch over the consumer thread by max.poll.interval.ms (librdkafka 2.1.1)"},
    {0x020200ff, "no OpenSSL 3 fix: a broker that closes a TLS connection may count as a permanent "
                 "error (librdkafka 2.2)"},
    {0x020300ff, "no topic-id check: recreated topics are noticed only when their offsets go back "
                 "(librdkafka 2.3)"},
    {0x020400ff, "no resume fix: paused partitions may be fetched again from an older offset; such "
                 "records are dropped, "
                 "not doubled (librdkafka 2.4)"},
    {0x020601ff,
     "no cooperative-sticky fix: rebalances of several instances may spin (librdkafka 2.6.1)"},
    {0x020a00ff,
     "no rebalance fix: partitions may stay unassigned after a rebalance (librdkafka 2.10)"},
    {0x020c01ff, "no KIP-848 groups for production (librdkafka 2.12.1)"},
    {0x020d02ff, "no batch polling: records are fetched one call at a time, which is slower "
                 "(librdkafka 2.13.2)"},
    {0x020e02ff, "no close fix: leaving the group may crash in rare cases (librdkafka 2.14.2)"},
};

size_t mor_source_missing_protections(const char *ret_lines[], size_t capacity)
{
    // What was compiled in counts as well: an old header hides the calls of a new library.
    int version = rd_kafka_version() < RD_KAFKA_VERSION ? rd_kafka_version() : RD_KAFKA_VERSION;
    size_t count = 0;
    for (size_t i = 0; i < sizeof protections / sizeof protections[0]; i++) {
        if (version < protections[i].since && count < capacity)
            ret_lines[count++] = protections[i].missing;
    }
    return count;
}

const char *mor_source_library_version(void)
{
    static char text[160];
    // The same bytes from every thread.
    snprintf(text, sizeof text, "librdkafka %s (%s)", rd_kafka_version_str(),
             MORAINE_LIBRDKAFKA_ORIGIN);
    return text;
}
