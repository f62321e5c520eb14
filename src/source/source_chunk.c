// Messages into chunks, and chunks to whoever takes them.
#include <assert.h>

#include "source_internal.h"

#include "moraine/base/clock.h"

// What a message costs beside its bytes: librdkafka's own bookkeeping for it, ours, and the record.
#define MESSAGE_OVERHEAD_BYTES (256 + sizeof(rd_kafka_message_t *) + sizeof(struct mor_record))

// What chunk->messages points at; part of the chunk's one allocation.
struct messages {
    struct mor_budget *budget;
    size_t counted_bytes;
    size_t capacity;
    bool headers; // each record has its own array of them
    rd_kafka_message_t *items[];
};

struct mor_chunk *mor_source_chunk_new(struct mor_source *source,
                                       const struct mor_source_part *part, size_t capacity)
{
    // One allocation: chunk, records, messages. Each part's size is a multiple of its alignment
    // (8).
    size_t records_bytes = capacity * sizeof(struct mor_record);
    char *memory = mor_alloc(sizeof(struct mor_chunk) + records_bytes + sizeof(struct messages) +
                             capacity * sizeof(rd_kafka_message_t *));
    struct mor_chunk *chunk = (void *)memory;
    struct messages *messages = (void *)(memory + sizeof *chunk + records_bytes);
    *messages = (struct messages){
        .budget = source->options.budget, .capacity = capacity, .headers = source->options.headers};
    *chunk = (struct mor_chunk){
        .partition = part->partition,
        .leader_epoch = part->leader_epoch,
        .generation = part->generation,
        .offset_first = part->next,
        .offset_next = part->next,
        .records = (void *)(memory + sizeof *chunk),
        .messages = messages,
    };
    return chunk;
}

void mor_chunk_free(struct mor_chunk *chunk)
{
    if (!chunk)
        return;
    struct messages *messages = chunk->messages;
    if (!messages) {
        free(chunk);
        return;
    }
    for (size_t i = 0; i < chunk->record_count; i++) {
        free((void *)chunk->records[i].headers);
        rd_kafka_message_destroy(messages->items[i]);
    }
    mor_budget_give(messages->budget, messages->counted_bytes);
    free(chunk);
}

struct mor_chunk *mor_chunk_of_records(const struct mor_record *records, size_t count,
                                       int64_t generation)
{
    struct mor_chunk *chunk = mor_calloc(1, sizeof *chunk + count * sizeof *records);
    *chunk = (struct mor_chunk){.partition = records[0].partition,
                                .leader_epoch = -1,
                                .generation = generation,
                                .offset_first = records[0].offset,
                                .offset_next = records[count - 1].offset + 1,
                                .records = (struct mor_record *)(void *)(chunk + 1),
                                .record_count = count};
    memcpy(chunk->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++)
        chunk->size_bytes += records[i].key_size_bytes + records[i].value_size_bytes;
    return chunk;
}

// The headers live as long as the message, their list as long as the chunk. Returns its size.
static size_t add_headers(struct mor_record *record, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = rd_kafka_header_cnt(headers), size_bytes = 0;
    struct mor_header *list = mor_calloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const void *value;
        if (rd_kafka_header_get_all(headers, i, &list[i].name, &value, &list[i].size_bytes) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        list[i].value = value;
        record->header_count++;
        size_bytes += list[i].size_bytes + strlen(list[i].name) + sizeof *list;
    }
    record->headers = list;
    return size_bytes;
}

void mor_source_chunk_add(struct mor_chunk *chunk, rd_kafka_message_t *take_message)
{
    struct messages *messages = chunk->messages;
    assert(chunk->record_count < messages->capacity);
    assert(take_message->offset >= chunk->offset_next);
    messages->items[chunk->record_count] = take_message;
    struct mor_record *record = &chunk->records[chunk->record_count++];
    *record = mor_source_record(take_message);
    chunk->size_bytes += take_message->len + take_message->key_len;
    if (messages->headers)
        chunk->size_bytes += add_headers(record, take_message);
    chunk->offset_next = take_message->offset + 1;
}

void mor_source_chunk_finish(struct mor_source *source, struct mor_source_part *part,
                             struct mor_chunk *take_chunk)
{
    struct messages *messages = take_chunk->messages;
    assert(take_chunk->offset_first == part->next);
    take_chunk->leader_epoch = part->leader_epoch;
    messages->counted_bytes =
        sizeof *take_chunk + take_chunk->size_bytes + messages->capacity * MESSAGE_OVERHEAD_BYTES;
    mor_budget_take(source->options.budget, messages->counted_bytes);
    part->next = take_chunk->offset_next;
    struct mor_chunk_link *link = mor_alloc(sizeof *link);
    *link = (struct mor_chunk_link){.chunk = take_chunk};
    if (part->pending_last)
        part->pending_last->next = link;
    else
        part->pending_first = link;
    part->pending_last = link;
    part->pending_bytes += messages->counted_bytes;
}

// Unhangs the first pending chunk.
static void pop_pending(struct mor_source_part *part, size_t counted_bytes)
{
    struct mor_chunk_link *link = part->pending_first;
    part->pending_first = link->next;
    if (!link->next)
        part->pending_last = NULL;
    part->pending_bytes -= counted_bytes;
    free(link);
}

void mor_source_drop_pending(struct mor_source_part *part)
{
    while (part->pending_first) {
        struct mor_chunk *chunk = part->pending_first->chunk;
        pop_pending(part, ((struct messages *)chunk->messages)->counted_bytes);
        mor_chunk_free(chunk);
    }
    part->refused_since_ms = 0;
}

void mor_source_offer(struct mor_source *source, struct mor_source_part *part, int64_t now_ms)
{
    while (part->pending_first) {
        struct mor_chunk *chunk = part->pending_first->chunk;
        size_t counted_bytes = ((struct messages *)chunk->messages)->counted_bytes;
        if (!source->options.deliver(source->options.context, chunk)) {
            if (part->refused_since_ms == 0)
                part->refused_since_ms = now_ms;
            return;
        }
        // the chunk may be gone already
        pop_pending(part, counted_bytes);
        part->refused_since_ms = 0;
    }
}

// ---- batches ------------------------------------------------------------------------------------

static int32_t epoch_of(const rd_kafka_message_t *message)
{
#if RD_KAFKA_VERSION >= MOR_RDKAFKA_2_1
    return rd_kafka_message_leader_epoch(message);
#else
    (void)message;
    return -1;
#endif
}

// A topic's leader epochs only grow: one that falls belongs to another topic of the same name.
static void stop_by_epoch(struct mor_source *source, struct mor_source_part *part,
                          const rd_kafka_message_t *message)
{
    struct mor_error err = MOR_ERROR_INIT;
    mor_error_set(&err, MOR_FATAL,
                  "topic '%s' partition %d: the record at offset %lld has leader epoch %d after "
                  "%d, so the topic was "
                  "deleted and created again, or its log was restored from a copy. Nothing of it "
                  "was taken. If the new "
                  "topic is the one to read, start with a new table",
                  source->topic, part->partition, (long long)message->offset, epoch_of(message),
                  part->leader_epoch);
    mor_source_suspect_identity(source);
    mor_source_stop_partition(source, part, &err);
}

// Room for what is left of the batch, or for a full chunk of records as large as the first.
static size_t chunk_capacity(const struct mor_source_part *part, const rd_kafka_message_t *first)
{
    size_t fit = MOR_SOURCE_CHUNK_BYTES / (first->len + first->key_len + 1) + 16;
    return part->message_count < fit ? part->message_count : fit;
}

static void take_message(struct mor_source *source, struct mor_source_part *part,
                         rd_kafka_message_t *message)
{
    struct mor_chunk *chunk = part->building;
    int64_t expected = chunk ? chunk->offset_next : part->next;
    int32_t epoch = epoch_of(message);
    if (message->offset < expected || part->state != MOR_PARTITION_RUNNING) {
        // an old position was fetched again, or an error came first
        rd_kafka_message_destroy(message);
        return;
    }
    if (epoch >= 0 && epoch < part->leader_epoch) {
        stop_by_epoch(source, part, message);
        rd_kafka_message_destroy(message);
        return;
    }
    if (!chunk)
        chunk = part->building = mor_source_chunk_new(source, part, chunk_capacity(part, message));
    if (epoch >= 0)
        part->leader_epoch = epoch;
    mor_source_chunk_add(chunk, message);
    part->started = true;
    part->error_count = 0;
    struct messages *messages = chunk->messages;
    if (chunk->size_bytes >= MOR_SOURCE_CHUNK_BYTES || chunk->record_count == messages->capacity) {
        part->building = NULL;
        part->message_count -= chunk->record_count;
        mor_source_chunk_finish(source, part, chunk);
    }
}

// The end of the log: offsets up to it without a record are gaps, most often of control records.
static void take_end(struct mor_source *source, struct mor_source_part *part, int64_t offset)
{
    if (part->state != MOR_PARTITION_RUNNING)
        return;
    int64_t expected = part->building ? part->building->offset_next : part->next;
    part->started = true;
    part->error_count = 0;
    if (offset > part->high)
        part->high = offset;
    if (offset <= expected)
        return;
    if (!part->building)
        part->building = mor_source_chunk_new(source, part, part->message_count);
    part->building->offset_next = offset;
}

void mor_source_distribute(struct mor_source *source, rd_kafka_message_t **take_messages,
                           size_t count)
{
    for (size_t i = 0; i < source->part_count; i++)
        source->parts[i]->message_count = 0;
    if (count > 0)
        mor_source_heard(source);
    // Messages of a partition come in runs, so the last one found is nearly always the right one.
    struct mor_source_part *part = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!part || part->partition != take_messages[i]->partition)
            part = mor_source_find(source, take_messages[i]->partition);
        if (part)
            part->message_count++;
    }
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = take_messages[i];
        if (!part || part->partition != message->partition)
            part = mor_source_find(source, message->partition);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && part && i >= part->valid_from) {
            take_message(source, part, message);
            continue;
        }
        // an end that was told before the assignment is told once, and true where we stand
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && part &&
            (i >= part->valid_from || message->offset == part->next))
            take_end(source, part, message->offset);
        else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                 message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            mor_source_message_error(source, message);
        rd_kafka_message_destroy(message);
    }
    for (size_t i = 0; i < source->part_count; i++) {
        part = source->parts[i];
        if (part->building)
            mor_source_chunk_finish(source, part, part->building);
        part->building = NULL;
        part->valid_from = 0;
    }
}
