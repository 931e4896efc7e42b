/*
 * What one table of one file says: the options that are written in it, checked, with their places.
 * Layers are laid over each other: defaults, service, tenant.
 */
#ifndef TEN_CONFIG_LAYER_H
#define TEN_CONFIG_LAYER_H

#include "config_problem.h"
#include "option_value.h"

struct config_value {
	const struct option *option;
	struct config_at at;       /* of the value */
	union option_value value;  /* owned; paths absolute, host names in lower case */
	struct config_at *item_at; /* of each item of a LIST, pair of a MAP; owned */
};

struct config_layer {
	struct config_value *values;
	size_t count;
};

/* Read ENTRY, a key in a table of SCOPE, whose relative paths are meant from FOLDER. What is wrong
 * with it goes to PROBLEMS. */
void config_layer_read(struct config_layer *layer, enum option_scope scope,
	const struct toml_entry *entry, const char *folder, struct config_problems *problems);

/* Say OPTION, an ENUM, without its having been written. */
void config_layer_add_choice(
	struct config_layer *layer, const struct option *option, int choice, struct config_at at);

const struct config_value *config_layer_find(const struct config_layer *layer, const char *name);

/* Lay the options of SCOPE over VALUES, a struct of that scope. */
void config_layer_apply(const struct config_layer *layer, enum option_scope scope, void *values);

void config_layer_clear(struct config_layer *layer);

#endif
