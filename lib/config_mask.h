/*
 * A configuration file's text for who may see what it declares and not its secrets: values of env
 * and credentials are shown as "***", whichever way TOML has them written.
 */
#ifndef TEN_CONFIG_MASK_H
#define TEN_CONFIG_MASK_H

#include <stddef.h>

/* The caller frees. NULL: TEXT is no TOML, so that nobody can say what is secret in it. */
char *config_mask(const char *text, size_t len);

#endif
