// Encoded values. The first bytes choose encoding, type, count and the steps in which values are
// read; the rest is the page.
#include "pq_codec.h"
#include "pq_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct mor_pq_decoder *d, size_t count, size_t step, bool skip)
{
    MOR_AUTO_BUFFER bytes = {0}, offsets = {0}, fixed = {0};
    uint32_t indexes[256];
    mor_buffer_append_le32(&offsets, 0);
    while (count > 0) {
        size_t part = count < step ? count : step, read = part;
        bool good;
        if (skip) {
            good = mor_pq_decoder_skip(d, part);
        } else if (d->kind == MOR_PQ_D_DICTIONARY) {
            good = mor_pq_decoder_read_indexes(d, indexes, part);
        } else if (d->type == MOR_PQ_BYTE_ARRAY) {
            good = mor_pq_decoder_read_bytes(d, &bytes, &offsets, part, 1 << 20, &read);
        } else {
            mor_buffer_reset(&fixed);
            mor_buffer_reserve(&fixed, part * d->width);
            good = mor_pq_decoder_read_fixed(d, fixed.data, part);
        }
        if (!good || read == 0)
            return;
        count -= read;
        skip = !skip && step % 3 == 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_decoder decoder = {0};
    if (size < 5)
        return 0;
    int32_t encoding = data[0] % 10, type = data[1] % 8;
    size_t count = data[2] | (size_t)data[3] << 8, step = data[4] ? data[4] : 1;
    if (data[0] & 0x80) {
        // Decompression into a size of the input's choice.
        struct mor_pq_codec_state state = {0};
        uint8_t *out = mor_alloc(count + 1);
        (void)!mor_pq_decompress(&state, data[0] & 7, data + 5, size - 5, out, count, &err);
        mor_pq_codec_done(&state);
        free(out);
        return 0;
    }
    if (mor_pq_decoder_open(&decoder, type, 1 + data[4] % 20, encoding, data + 5, size - 5, count,
                            &err) == MOR_OK)
        read_all(&decoder, count, step, false);
    mor_pq_decoder_done(&decoder);
    return 0;
}
