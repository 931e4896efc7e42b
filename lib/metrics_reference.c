/* Prints the list of metrics for tenement-metrics(7); see scripts/check-metrics. */
#include <stdio.h>
#include <string.h>

#include "metrics.h"

/* Of roff: a dash is a dash, and nothing at a line's begin is a request. */
static void put(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '-')
			putchar('\\');
		putchar(*text);
	}
}

static void put_row(const struct metric_row *row)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram", "information" };
	static const char *const suffixes[] = { "_total", "", "", "_info" };

	printf(".TP\n.B ");
	put(row->name);
	put(suffixes[row->kind]);
	if (*row->labels)
		printf(" \\fR{\\fI%s\\fR}", row->labels);
	printf("\n(%s) ", kinds[row->kind]);
	put(row->help);
	putchar('\n');
}

int main(void)
{
	for (int metric = 0; metric < METRIC_NONE; metric++)
		put_row(&metric_rows[metric]);
	return 0;
}
