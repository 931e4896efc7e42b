/*
 * The list of what is wrong with one text: every problem with its place and the line it is in.
 */
#ifndef TEN_CONFIG_PROBLEM_H
#define TEN_CONFIG_PROBLEM_H

#include <stddef.h>

#include "config_set.h"

#define CONFIG_PROBLEMS_MAX 100 /* of one list; what is more is counted in one more */

/* A place in a file; line 0 is the whole file. */
struct config_at {
	int line, column;
};

struct config_problems {
	const char *file; /* as messages call it; borrowed */
	const char *text; /* what the problems are of; borrowed; NULL: there is none */
	size_t len;
	struct config_problem *items;
	size_t count;
	size_t left_out;
};

/* The message is made fit for a terminal: control characters become "?". The same message for the
 * same place is taken once. */
void config_problems_add(struct config_problems *problems, struct config_at at, const char *format,
	...) __attribute__((format(printf, 3, 4)));
void config_problems_clear(struct config_problems *problems);

/* For qsort: by file, line, column. */
int config_problem_compare(const void *a, const void *b);

#endif
