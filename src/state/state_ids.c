// The new ids of a batch, for whoever keeps them beside the state.
#include "state_internal.h"

int64_t mor_state_batch_ids(const struct mor_state *state, const struct mor_state_batch *batch,
                            struct mor_buffer *ret_ids)
{
    int64_t latest_ms = INT64_MIN;
    for (size_t r = 0; r < batch->run_count; r++) {
        const struct mor_dedup_run *run = batch->runs[r];
        for (size_t i = 0; i < run->fresh_count; i++) {
            // the last moment of its bucket, so that it is put into the same bucket again
            int64_t time_ms = ((int64_t)ID_BUCKET(run->fresh[i].value) + 1) * state->bucket_ms - 1;
            mor_buffer_append(ret_ids, &run->fresh[i].hash, sizeof run->fresh[i].hash);
            mor_buffer_append(ret_ids, &time_ms, sizeof time_ms);
            latest_ms = time_ms > latest_ms ? time_ms : latest_ms;
        }
    }
    return latest_ms;
}
