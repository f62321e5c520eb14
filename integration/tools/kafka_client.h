// What the rig's two Kafka programs share: settings from the command line, and giving up with
// words.
#ifndef INTEGRATION_KAFKA_CLIENT_H
#define INTEGRATION_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

// Prints the message to standard error and exits 1.
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Applies "name=value"; exits when librdkafka refuses it.
void client_set(rd_kafka_conf_t *conf, const char *setting);

// Creates a producer handle and takes the configuration; exits when that fails.
rd_kafka_t *client_new(rd_kafka_conf_t *conf);

#endif
