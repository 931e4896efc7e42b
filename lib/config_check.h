/*
 * What the type of an option does not say: that a domain is a host name, a range a range, that a
 * template names only placeholders there are.
 */
#ifndef TEN_CONFIG_CHECK_H
#define TEN_CONFIG_CHECK_H

#include <stdbool.h>

#include "error.h"
#include "options.h"

/* TEXT as the value of a STRING or PATH, or as one item of a LIST, as it was written. */
int config_check_text(const struct option *option, const char *text, struct ten_error *err);

/* How many items a LIST may have. */
int config_check_count(const struct option *option, size_t count, struct ten_error *err);

/* NAME = VALUE of a MAP. */
int config_check_pair(
	const struct option *option, const char *name, const char *value, struct ten_error *err);

/* Whether NAME is a variable that tenement sets itself. (DATA_DIR too, but a tenant may say
 * otherwise.) */
bool config_check_reserved(const char *name);

/* What tenement itself answers on the root domain, each with all that is below it. */
extern const char *const config_check_own_paths[]; /* NULL-terminated */

/* A path of [routing.path]: "/api". Management's own paths are refused. */
int config_check_route_path(const char *path, struct ten_error *err);

#endif
