// The JSON answers: /status, /lag, /readyz, /history; and the words of /livez.
#ifndef MORAINE_SERVE_REPORT_H
#define MORAINE_SERVE_REPORT_H

#include "serve_view.h"

void serve_report_status(const struct serve_view *view, struct mor_buffer *out);
void serve_report_lag(const struct serve_view *view, struct mor_buffer *out);
void serve_report_readiness(const struct serve_view *view, struct mor_buffer *out);
// What the charts of a page that was just opened start from.
void serve_report_history(const struct serve_memory *memory, struct mor_buffer *out);
// True when the program makes progress; otherwise the words say what does not.
bool serve_report_liveness(const struct serve_view *view, int64_t now_mono_ms,
                           int64_t stall_after_ms, int64_t topic_stall_after_ms,
                           struct mor_buffer *out);

const char *serve_state_name(enum mor_serve_state state);

#endif
