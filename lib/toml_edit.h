/*
 * Changing one value of a TOML text and nothing else of it: comments, order and all other keys stay
 * as they are.
 */
#ifndef TEN_TOML_EDIT_H
#define TEN_TOML_EDIT_H

#include <stddef.h>

#include "error.h"

/* TEXT, a document, with KEY = "VALUE" in [TABLE], or in the one [[TABLE]] that it has. VALUE is of
 * plain letters, digits and '-'. The caller frees. NULL: the table or the value is written in a way
 * that this does not know (an inline table, a text of several lines); ERR says which. */
char *toml_edit_set(const char *text, size_t len, const char *table, const char *key,
	const char *value, struct ten_error *err);

#endif
