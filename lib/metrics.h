/*
 * The text of GET /metrics: Prometheus' text format 0.0.4, or OpenMetrics 1.0. What there is to be
 * told is one table, metrics.def; nothing can be written that is not in it.
 */
#ifndef TEN_METRICS_H
#define TEN_METRICS_H

#include <stdint.h>

#include "text.h"

enum metric {
#define METRIC(name, ...) METRIC_##name,
#include "metrics.def"
	METRIC_NONE,
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };
struct metric_row {
	enum metric_kind kind;
	const char *name; /* without _total, _info */
	const char *unit, *labels, *help;
};
extern const struct metric_row metric_rows[METRIC_NONE];

enum metrics_format { METRICS_TEXT, METRICS_OPEN };
extern const char *const metrics_types[]; /* Content-Type, by format */

/* By an Accept header; NULL: there was none. */
enum metrics_format metrics_format_wanted(const char *accept);

struct metrics_out {
	struct text *text;
	enum metrics_format format;
	enum metric current; /* whose samples are being written */
};

/* A metric's head; its samples follow, all of them. */
void metrics_begin(struct metrics_out *out, enum metric metric);
/* The end of the text. */
void metrics_end(struct metrics_out *out);

/* A sample of the current one. LABELS is what metrics_label() made, "" for none; NAME and VALUE
 * are one more label (NULL: none). */
void metrics_put(struct metrics_out *out, const char *labels, uint64_t number);
void metrics_put_with(struct metrics_out *out, const char *labels, const char *name,
	const char *value, uint64_t number);
void metrics_put_seconds(struct metrics_out *out, const char *labels, double seconds);

/* COUNTS has one more than BOUNDS, of which there are COUNT: how many fell into each. */
struct metrics_histogram {
	const double *bounds;
	const uint64_t *counts;
	unsigned count;
	double sum;
};
void metrics_put_histogram(
	struct metrics_out *out, const char *labels, const struct metrics_histogram *histogram);

/* Append NAME="VALUE", escaped, with a comma before it if there are some. */
void metrics_label(struct text *labels, const char *name, const char *value);

#endif
