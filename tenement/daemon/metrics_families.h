/*
 * The families of GET /metrics that have a sample or more for each service, or for each tenant:
 * which metric, and how it is made from a row.
 */
#ifndef TEN_METRICS_FAMILIES_H
#define TEN_METRICS_FAMILIES_H

#include "daemon/metrics_rows.h"
#include "metrics.h"

struct metrics_family {
	enum metric service, instance; /* METRIC_NONE: there is none */
	void (*put)(struct metrics_out *out, const struct metrics_row *row);
};
extern const struct metrics_family metrics_families[];
extern const size_t metrics_family_count;

#endif
