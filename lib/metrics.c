#include "metrics.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct metric_row metric_rows[METRIC_NONE] = {
#define METRIC(name, kind, text, unit, labels, help) { METRIC_##kind, text, unit, labels, help },
#include "metrics.def"
};

const char *const metrics_types[] = {
	[METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	[METRICS_OPEN] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/* Who names it means it: whatever it takes as well. But not q=0. */
enum metrics_format metrics_format_wanted(const char *accept)
{
	static const char name[] = "application/openmetrics-text";
	const char *at = accept ? strcasestr(accept, name) : NULL;
	const char *weight;
	double q = 1;

	if (!at)
		return METRICS_TEXT;
	at += strlen(name);
	weight = strcasestr(at, ";q=");
	if (weight && weight - at < (long)strcspn(at, ","))
		sscanf(weight + 3, "%4lf", &q);
	return q > 0 ? METRICS_OPEN : METRICS_TEXT;
}

static const char *suffix_of(enum metric_kind kind)
{
	switch (kind) {
	case METRIC_COUNTER:
		return "_total";
	case METRIC_INFO:
		return "_info";
	default:
		return "";
	}
}

/* HELP knows two escapes in one format and three in the other; our texts need none. */
void metrics_begin(struct metrics_out *out, enum metric metric)
{
	static const char *const open_types[] = { "counter", "gauge", "histogram", "info" };
	static const char *const text_types[] = { "counter", "gauge", "histogram", "gauge" };
	const struct metric_row *row = &metric_rows[metric];

	out->current = metric;
	if (out->format == METRICS_TEXT) {
		const char *suffix = suffix_of(row->kind);

		text_printf(out->text, "# HELP %s%s %s\n# TYPE %s%s %s\n", row->name, suffix,
			row->help, row->name, suffix, text_types[row->kind]);
		return;
	}
	text_printf(out->text, "# TYPE %s %s\n", row->name, open_types[row->kind]);
	if (*row->unit)
		text_printf(out->text, "# UNIT %s %s\n", row->name, row->unit);
	text_printf(out->text, "# HELP %s %s\n", row->name, row->help);
}

void metrics_end(struct metrics_out *out)
{
	if (out->format == METRICS_OPEN)
		text_puts(out->text, "# EOF\n");
}

void metrics_label(struct text *labels, const char *name, const char *value)
{
	if (labels->len)
		text_puts(labels, ",");
	text_puts(labels, name);
	text_puts(labels, "=\"");
	for (; *value; value++) {
		if (*value == '\n')
			text_puts(labels, "\\n");
		else if (*value == '"' || *value == '\\')
			text_printf(labels, "\\%c", *value);
		else
			text_add(labels, value, 1);
	}
	text_puts(labels, "\"");
}

/* NAME{LABELS,LABEL="VALUE"} and a space. There are very many of these: no printf. */
static void begin_sample(struct metrics_out *out, const char *suffix, const char *labels,
	const char *name, const char *value)
{
	struct text *text = out->text;

	text_puts(text, metric_rows[out->current].name);
	text_puts(text, suffix);
	if (*labels || name) {
		text_add(text, "{", 1);
		text_puts(text, labels);
		if (name && *labels)
			text_add(text, ",", 1);
		if (name) {
			text_puts(text, name);
			text_add(text, "=\"", 2);
			text_puts(text, value);
			text_add(text, "\"", 1);
		}
		text_add(text, "}", 1);
	}
	text_add(text, " ", 1);
}

static void put_number(struct text *text, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits);

	digits[--at] = '\n';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	text_add(text, digits + at, sizeof(digits) - at);
}

void metrics_put_with(struct metrics_out *out, const char *labels, const char *name,
	const char *value, uint64_t number)
{
	begin_sample(out, suffix_of(metric_rows[out->current].kind), labels, name, value);
	put_number(out->text, number);
}

void metrics_put(struct metrics_out *out, const char *labels, uint64_t number)
{
	metrics_put_with(out, labels, NULL, NULL, number);
}

void metrics_put_seconds(struct metrics_out *out, const char *labels, double seconds)
{
	begin_sample(out, suffix_of(metric_rows[out->current].kind), labels, NULL, NULL);
	text_printf(out->text, "%.6f\n", seconds);
}

/* A bound, the same in both formats: "1.0", and not "1". */
static void bound_text(double bound, char text[24])
{
	int len = snprintf(text, 24, "%g", bound);

	if (!strpbrk(text, ".e"))
		snprintf(text + len, 24 - (size_t)len, ".0");
}

void metrics_put_histogram(
	struct metrics_out *out, const char *labels, const struct metrics_histogram *histogram)
{
	uint64_t sum = 0;
	char bound[24];

	for (unsigned i = 0; i < histogram->count; i++) {
		sum += histogram->counts[i];
		bound_text(histogram->bounds[i], bound);
		begin_sample(out, "_bucket", labels, "le", bound);
		put_number(out->text, sum);
	}
	sum += histogram->counts[histogram->count];
	begin_sample(out, "_bucket", labels, "le", "+Inf");
	put_number(out->text, sum);
	begin_sample(out, "_sum", labels, NULL, NULL);
	text_printf(out->text, "%.6f\n", histogram->sum);
	begin_sample(out, "_count", labels, NULL, NULL);
	put_number(out->text, sum);
}
