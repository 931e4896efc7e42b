/*
 * What was accepted, kept on disk: the last good text of each file, for the next life of the
 * daemon, and the generations, for `ten history` and `ten undo`.
 *
 *	{data_dir}/.tenement/accepted/NAME	the text in force
 *	{data_dir}/.tenement/history/N.json	generation N: when, by whom, and each file's text
 *before
 */
#ifndef TEN_ACCEPTED_H
#define TEN_ACCEPTED_H

#include <jansson.h>

#include "daemon/daemon.h"

/* Seed the set with the last good texts, and find the newest generation. */
int accepted_seed(struct daemon *d, struct ten_error *err);

/* Keep what CHANGE accepted, as a new generation if it is anything. */
void accepted_keep(struct daemon *d, const struct config_change *change, const char *author);

/* The newest generations, newest first, without texts: a new reference. */
json_t *accepted_history(struct daemon *d, size_t limit);

/* Generation NUMBER with its texts, or NULL. A new reference. */
json_t *accepted_generation(struct daemon *d, uint64_t number);

#endif
