#include "parquet_test.h"
#include "pq_codec.h"

static void fill(struct mor_buffer *buffer, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        mor_buffer_append_u8(buffer, (uint8_t)(noise(&seed) % 7 == 0 ? noise(&seed) : 'a'));
}

static const int32_t writable[] = {MOR_PQ_CODEC_NONE, MOR_PQ_CODEC_SNAPPY, MOR_PQ_CODEC_GZIP,
                                   MOR_PQ_CODEC_ZSTD, MOR_PQ_CODEC_LZ4_RAW};

static void pages_of_every_codec_round_trip(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_codec_state codec = {0};
    const size_t sizes[] = {0, 1, 100, 100000};
    for (size_t c = 0; c < sizeof writable / sizeof *writable; c++) {
        for (size_t i = 0; i < 4; i++) {
            MOR_AUTO_BUFFER plain = {0}, packed = {0};
            fill(&plain, sizes[i], i);
            uint8_t *out = mor_alloc(sizes[i] + 1);
            mor_buffer_reserve(&plain, 1);
            assert_ok(mor_pq_compress(&codec, writable[c], 0, plain.data, sizes[i], &packed, &err));
            assert_true(mor_pq_decompressed_max(writable[c], packed.size_bytes) >= sizes[i]);
            if (packed.size_bytes > 0)
                assert_ok(mor_pq_decompress(&codec, writable[c], packed.data, packed.size_bytes,
                                            out, sizes[i], &err));
            assert_memory_equal(out, plain.data, sizes[i]);
            free(out);
        }
    }
    mor_pq_codec_done(&codec);
}

static void cut_or_wrongly_sized_pages_are_refused(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_codec_state codec = {0};
    for (size_t c = 0; c < sizeof writable / sizeof *writable; c++) {
        MOR_AUTO_BUFFER plain = {0}, packed = {0};
        fill(&plain, 5000, c);
        uint8_t *out = mor_alloc(6000);
        assert_ok(mor_pq_compress(&codec, writable[c], 0, plain.data, 5000, &packed, &err));
        assert_int_equal(mor_pq_decompress(&codec, writable[c], packed.data, packed.size_bytes - 1,
                                           out, 5000, &err),
                         MOR_DATA);
        assert_int_equal(
            mor_pq_decompress(&codec, writable[c], packed.data, packed.size_bytes, out, 4999, &err),
            MOR_DATA);
        assert_int_equal(
            mor_pq_decompress(&codec, writable[c], packed.data, packed.size_bytes, out, 5001, &err),
            MOR_DATA);
        free(out);
    }
    mor_pq_codec_done(&codec);
}

static void gzip_members_one_after_another_are_one_page(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_codec_state codec = {0};
    MOR_AUTO_BUFFER packed = {0};
    char out[8];
    assert_ok(mor_pq_compress(&codec, MOR_PQ_CODEC_GZIP, 0, "abc", 3, &packed, &err));
    assert_ok(mor_pq_compress(&codec, MOR_PQ_CODEC_GZIP, 0, "", 0, &packed, &err));
    assert_ok(mor_pq_compress(&codec, MOR_PQ_CODEC_GZIP, 0, "defgh", 5, &packed, &err));
    assert_ok(
        mor_pq_decompress(&codec, MOR_PQ_CODEC_GZIP, packed.data, packed.size_bytes, out, 8, &err));
    assert_memory_equal(out, "abcdefgh", 8);
    mor_pq_codec_done(&codec);
}

static void lz4_in_hadoops_frames_is_read(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_codec_state codec = {0};
    MOR_AUTO_BUFFER block = {0}, framed = {0};
    char out[12];
    assert_ok(mor_pq_compress(&codec, MOR_PQ_CODEC_LZ4_RAW, 0, "hadoop", 6, &block, &err));
    for (int i = 0; i < 2; i++) {
        mor_buffer_append_be32(&framed, 6);
        mor_buffer_append_be32(&framed, (uint32_t)block.size_bytes);
        mor_buffer_append(&framed, block.data, block.size_bytes);
    }
    assert_ok(
        mor_pq_decompress(&codec, MOR_PQ_CODEC_LZ4, framed.data, framed.size_bytes, out, 12, &err));
    assert_memory_equal(out, "hadoophadoop", 12);
    // The same codec number also stands for a bare block.
    assert_ok(
        mor_pq_decompress(&codec, MOR_PQ_CODEC_LZ4, block.data, block.size_bytes, out, 6, &err));
    assert_memory_equal(out, "hadoop", 6);
    mor_pq_codec_done(&codec);
}

static void unknown_codec_is_refused_by_name(void **state)
{
    (void)state;
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_pq_codec_state codec = {0};
    char out[4];
    assert_fails(mor_pq_decompress(&codec, MOR_PQ_CODEC_LZO, "abcd", 4, out, 4, &err), MOR_DATA,
                 "LZO");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_every_codec_round_trip),
        cmocka_unit_test(cut_or_wrongly_sized_pages_are_refused),
        cmocka_unit_test(gzip_members_one_after_another_are_one_page),
        cmocka_unit_test(lz4_in_hadoops_frames_is_read),
        cmocka_unit_test(unknown_codec_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
