// Page headers, page indexes and bloom filter headers.
#include "pq_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_pq_page_header header, again;
    struct mor_pq_offset_index offsets;
    struct mor_pq_column_index columns;
    size_t used;
    int32_t bitset;
    mor_arena_init(&arena, 0, NULL);
    if (mor_pq_page_header_parse(data, size, &header, &used, &err) == MOR_OK) {
        if (used > size)
            abort();
        if (header.type != MOR_PQ_INDEX_PAGE && header.type <= MOR_PQ_DATA_PAGE_V2) {
            MOR_AUTO_BUFFER out = {0};
            mor_pq_page_header_write(&header, &out);
            if (mor_pq_page_header_parse(out.data, out.size_bytes, &again, &used, &err) != MOR_OK ||
                again.num_values != header.num_values || again.encoding != header.encoding)
                abort();
        }
    }
    if (mor_pq_offset_index_parse(data, size, &arena, &offsets, &err) == MOR_OK &&
        offsets.page_count > size)
        abort();
    if (mor_pq_column_index_parse(data, size, &arena, &columns, &err) == MOR_OK &&
        columns.page_count > size)
        abort();
    if (mor_pq_bloom_header_parse(data, size, &bitset, &used, &err) == MOR_OK && bitset % 32 != 0)
        abort();
    mor_arena_done(&arena);
    return 0;
}
