/*
 * Reading [[service.NAME.mounts]]: source, destination, and readonly, which is true unless it says
 * otherwise.
 */
#ifndef TEN_OPTION_MOUNTS_H
#define TEN_OPTION_MOUNTS_H

#include "error.h"
#include "options.h"
#include "text.h"
#include "toml.h"

/* The tables of NODE as an owned list (see struct option_mount); NULL with *err. */
char **option_mounts_read(
	const struct option *option, const struct toml_node *node, struct ten_error *err);

/* As it would be written in TOML, inline. */
void option_mounts_spell(
	char *const *list, struct text *out, void (*spell)(struct text *, const char *));

#endif
