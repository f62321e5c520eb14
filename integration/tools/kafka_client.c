#include "kafka_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void client_set(rd_kafka_conf_t *conf, const char *setting)
{
    char name[256], text[512];
    const char *equals = strchr(setting, '=');
    if (equals == NULL || (size_t)(equals - setting) >= sizeof(name))
        give_up("'%s' is not name=value", setting);
    memcpy(name, setting, (size_t)(equals - setting));
    name[equals - setting] = '\0';
    if (rd_kafka_conf_set(conf, name, equals + 1, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        give_up("%s", text);
}

rd_kafka_t *client_new(rd_kafka_conf_t *conf)
{
    char text[512];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (client == NULL)
        give_up("no Kafka client: %s", text);
    return client;
}
