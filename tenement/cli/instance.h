/*
 * How a tenant, as the daemon describes it, is shown.
 */
#ifndef TEN_INSTANCE_H
#define TEN_INSTANCE_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/term.h"

/* The colour of a state: green serves, red is in trouble, dim sleeps. */
enum term_style instance_style(const char *state);

/* What there is to say beside the state ("unhealthy; runs by the last good state of its file"), or
 * "". The caller frees. */
char *instance_note(const json_t *instance);

bool instance_is_up(const char *state);   /* ready or frozen */
bool instance_is_down(const char *state); /* nothing runs, and nothing will by itself */
bool instance_is_in_trouble(const char *state);

#endif
