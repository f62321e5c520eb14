// Hudi log files: the blocks of any bytes, and the deletes that they hold.
#include <stdint.h>
#include <stdlib.h>

#include "hudi/hudi_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static enum mor_status read_input(void *context, int64_t offset, void *ret_bytes, size_t size_bytes,
                                  struct mor_error *err)
{
    const struct input *input = context;
    (void)err;
    if (offset < 0 || (uint64_t)offset > input->size || size_bytes > input->size - (size_t)offset)
        abort(); // the reader asks for what is there only
    memcpy(ret_bytes, input->data + offset, size_bytes);
    return MOR_OK;
}

static enum mor_status visit(void *context, const struct hudi_delete *entry, struct mor_error *err)
{
    (void)err;
    // touch what is claimed to be there
    uint8_t *sum = context;
    for (size_t i = 0; i < entry->key_size_bytes; i++)
        *sum = (uint8_t)(*sum + entry->key[i]);
    for (size_t i = 0; i < entry->bytes_size_bytes; i++)
        *sum = (uint8_t)(*sum + entry->bytes[i]);
    return MOR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct input input = {data, size};
    struct mor_byte_source source = {
        .context = &input, .size_bytes = (int64_t)size, .read = read_input};
    struct mor_arena arena;
    struct hudi_block *blocks = NULL;
    size_t count = 0;
    uint8_t sum = 0;
    mor_arena_init(&arena, 0, NULL);
    if (hudi_log_index(&source, "log", &arena, &blocks, &count, &err) != MOR_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].type == HUDI_BLOCK_DELETE &&
            hudi_deletes_read(data + blocks[i].content_offset, (size_t)blocks[i].content_size_bytes,
                              visit, &sum, &err) != MOR_OK)
            err = MOR_ERROR_INIT;
    }
    // the content alone, without a block around it that the fuzzer must keep whole
    if (hudi_deletes_read(data, size, visit, &sum, &err) != MOR_OK)
        err = MOR_ERROR_INIT;
    mor_arena_done(&arena);
    return 0;
}
