/*
 * Files of environment variables, read as systemd reads its EnvironmentFile=: NAME=value, one a
 * line; lines that begin with "#" or ";" are comments. Around a value blanks are taken off. Within
 * '...' all stands for itself, line breaks too; within "..." a backslash takes the meaning off one
 * of
 * "\`$ and joins lines; outside of both it does so with any character. Nothing is expanded.
 *
 * What is in such a file is secret: no error names any of it.
 */
#ifndef TEN_ENV_FILE_H
#define TEN_ENV_FILE_H

#include <stddef.h>

#include "error.h"

#define ENV_FILE_MAX       ((size_t)1 << 20)
#define ENV_FILE_PAIRS_MAX 4096

struct env_file {
	size_t count;
	char **pairs; /* "NAME=value", each name once */
};

/* Add what TEXT says to FILE; a name that is there already has the new value. -1: *err says at
 * which line and column it is wrong; FILE is then to be wiped. */
int env_file_parse(const char *text, size_t len, struct env_file *file, struct ten_error *err);

/* Overwrite and free all of it. */
void env_file_wipe(struct env_file *file);

/* Overwrite the LEN bytes of DATA and free it; NULL is allowed. */
void env_file_wipe_text(char *data, size_t len);

#endif
