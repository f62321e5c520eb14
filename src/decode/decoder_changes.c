// Writer schemas that the columns do not take in whole: who is told, and what is waited for.
#include <stdio.h>

#include "decoder.h"

static bool is_learned(const struct mor_decoder *decoder, int32_t id)
{
    for (size_t i = 0; i < decoder->options.learned_count; i++)
        if (decoder->options.learned_ids[i] == id)
            return true;
    return false;
}

void mor_decoder_look_for_changes(struct mor_decoder *decoder, int32_t id, const char *reason,
                                  const char *strangers, char **ret_change, bool *ret_refused)
{
    bool follow = decoder->options.follow_changes, learned = is_learned(decoder, id);
    if (reason) {
        *ret_change = follow && !learned ? mor_strdup(reason) : NULL;
        *ret_refused = follow && learned;
    } else if (strangers[0] != '\0' && follow && !learned) {
        *ret_change = mor_asprintf("new fields: %.300s", strangers);
    } else if (strangers[0] != '\0') {
        (void)snprintf(decoder->notice, sizeof decoder->notice,
                       "schema id %d has fields that the table lacks, they are left out: %.300s",
                       id, strangers);
    }
}

enum mor_status mor_decoder_stop_at(struct mor_decoder *decoder, int32_t id, const char *change,
                                    struct mor_error *err)
{
    decoder->changed_id = id;
    return mor_error_set(err, MOR_CONFLICT, "schema id %d: %s", id, change);
}

enum mor_status mor_decoder_refuse(int32_t id, bool refused, const char *reason,
                                   struct mor_error *err)
{
    return mor_error_set(err, refused ? MOR_FATAL : MOR_DATA, "schema id %d: %s%s", id,
                         refused ? "the table cannot follow this change: " : "", reason);
}
