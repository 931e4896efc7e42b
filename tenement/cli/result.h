/*
 * What came of a change of configuration (apply, undo, diff), for people and as an exit code.
 */
#ifndef TEN_RESULT_H
#define TEN_RESULT_H

#include <jansson.h>

#include "cli/cli.h"

/* A table of what would be or was done; with --quiet the ids alone. */
void result_print_actions(const struct cli *cli, const json_t *answer);

/* A line for each setting that waits for a word of the operator, or for the next start. */
void result_print_settings(const json_t *answer);

/* The problems of files, as the daemon spelled them, on standard error. */
void result_print_problems(const json_t *answer);

/* All of an answer to apply or undo. Returns the exit code. */
int result_print(const struct cli *cli, const json_t *answer);

#endif
