/*
 * What is wrong with the configuration, as read from its files.
 */
#ifndef TEN_PROBLEMS_H
#define TEN_PROBLEMS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "config_set.h"

/* Print PROBLEM with its excerpt to OUT, made harmless. CALLED stands in for its file's name (NULL:
 * as it is). */
void problem_print(FILE *out, const struct config_problem *problem, const char *called);

/* {"file", "line", "column", "message", "excerpt"} */
json_t *problem_json(const struct config_problem *problem, const char *called);

#endif
