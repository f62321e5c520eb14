// The text of /metrics: OpenMetrics 1.0, or the older Prometheus text format for a client that asks
// for nothing newer.
#ifndef MORAINE_SERVE_METRICS_H
#define MORAINE_SERVE_METRICS_H

#include "serve_view.h"

enum serve_metrics_format { SERVE_METRICS_OPENMETRICS, SERVE_METRICS_PROMETHEUS };

extern const char serve_metrics_openmetrics_type[], serve_metrics_prometheus_type[];

void serve_metrics_write(const struct serve_view *view, enum serve_metrics_format format,
                         struct mor_buffer *out);

#endif
