/*
 * The values of options as such: read from TOML with their type, range and what this build can
 * give checked; kept in the structs of options.h by their offset; copied, hashed and spelled.
 *
 * VALUES is always the struct of SCOPE: struct setting_values, listener_values, service_values or
 * tenant_values (the tenant's own rows alone).
 */
#ifndef TEN_OPTION_VALUE_H
#define TEN_OPTION_VALUE_H

#include <stdint.h>

#include "error.h"
#include "options.h"
#include "toml.h"

/* One value apart from its struct; which member, and who frees it, follows from the type. */
union option_value {
	bool boolean;
	int64_t integer; /* INT, FRACTION in hundredths */
	int choice;
	char *string; /* STRING, PATH */
	char **list;  /* LIST, TIMES, TABLES, PATHS */
	struct option_map map;
	struct option_ladder ladder;
};

/* The value of NODE for OPTION, which the caller clears. -1: *err says what OPTION wants. */
int option_value_read(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err);
void option_value_clear(const struct option *option, union option_value *value);

/* Whether this build can give VALUE, a written one. -1: *err says what it can give. */
int option_value_check_given(
	const struct option *option, const union option_value *value, struct ten_error *err);

/* Copy VALUE into VALUES in place of what is there. Pairs of a MAP are laid over those there. */
void option_value_store(const struct option *option, const union option_value *value, void *values);

/* The name and value added to MAP, or put in the place of one there. */
void option_map_set(struct option_map *map, const char *name, const char *value);

/* All options of SCOPE. options_clear() leaves zeroes; options_copy() writes over the struct TO. */
void options_set_defaults(enum option_scope scope, void *values);
void options_copy(enum option_scope scope, void *to, const void *from);
void options_clear(enum option_scope scope, void *values);

/* SEED with the value of OPTION in VALUES mixed in. */
uint64_t option_hash(const struct option *option, const void *values, uint64_t seed);
uint64_t option_hash_bytes(const void *data, size_t len, uint64_t seed);
uint64_t option_hash_string(const char *string, uint64_t seed); /* NULL is not "" */

/* The value of OPTION in VALUES as it would be written in TOML; the caller frees. */
char *option_spell(const struct option *option, const void *values);

#endif
