/*
 * Options and their values, as shown by `ten config` and written by `ten init`.
 */
#ifndef TEN_SETTINGS_H
#define TEN_SETTINGS_H

#include <jansson.h>

#include "options.h"
#include "text.h"

/* {name: value} of all of [settings]; a text that is not set is null. "listener" is a list of the
 * same for each address, however it was written. */
json_t *settings_json(const struct setting_values *values);

/* VALUE as it would be written in TOML. */
void settings_add_toml(struct text *out, const json_t *value);

/* PROSE in lines of at most WIDTH, each with BEFORE in front of it. */
void settings_add_prose(struct text *out, const char *before, const char *prose, size_t width);

const char *settings_scope_name(enum option_scope scope);    /* "[settings]", ... */
const char *settings_type_name(const struct option *option); /* "a whole number", ... */
const char *settings_change_name(enum option_change change); /* "live", ... */

#endif
