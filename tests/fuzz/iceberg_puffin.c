// Deletion vectors and Puffin footers of any bytes. What is read as a vector is written again and
// must be the same set.
#include <stdint.h>
#include <stdlib.h>

#include "iceberg/iceberg_puffin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_vector(struct mor_position_set *set)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *again;
    MOR_AUTO_BUFFER bytes = {0};
    iceberg_vector_write(set, &bytes);
    uint64_t count = mor_position_set_count(set);
    if (iceberg_vector_read(bytes.data, bytes.size_bytes, NULL, &again, &err) != MOR_OK ||
        mor_position_set_count(again) != count)
        abort();
    if (count > 0 && (!mor_position_set_has(set, mor_position_set_last(set)) ||
                      mor_position_set_rank(set, mor_position_set_last(set)) != count - 1))
        abort();
    mor_position_set_subtract(again, set);
    if (mor_position_set_count(again) != 0)
        abort();
    mor_position_set_free(again);
    mor_position_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_position_set *set;
    struct mor_arena arena;
    struct iceberg_puffin_blob *blobs;
    size_t count = 0;
    // without the checksum, which a fuzzer would have to guess
    if (iceberg_vector_read(data, size, NULL, &set, &err) == MOR_OK)
        check_vector(set);
    if (mor_position_set_read(data, size, NULL, &set, &err) == MOR_OK)
        check_vector(set);
    mor_arena_init(&arena, 0, NULL);
    if (iceberg_puffin_footer(data, size, &arena, &blobs, &count, &err) != MOR_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (blobs[i].offset + blobs[i].size_bytes > (int64_t)size)
            abort();
        if (iceberg_vector_read(data + blobs[i].offset, (size_t)blobs[i].size_bytes, NULL, &set,
                                &err) == MOR_OK)
            check_vector(set);
    }
    mor_arena_done(&arena);
    return 0;
}
