#include "moraine/base/record.h"

void mor_record_digest_add(struct mor_hash128 *sum, const struct mor_record *record)
{
    uint64_t seed = (uint64_t)record->offset * 4 + (record->value == NULL ? 1 : 0);
    mor_hash128_add(sum, mor_hash128_seed(record->value, record->value_size_bytes, seed));
    seed = (uint64_t)record->offset * 4 + 2 + (record->key == NULL ? 1 : 0);
    mor_hash128_add(sum, mor_hash128_seed(record->key, record->key_size_bytes, seed));
}
