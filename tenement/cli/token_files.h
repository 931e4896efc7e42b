/*
 * The data folder of a daemon that does not run, for what `ten` does on its files itself: tokens
 * are made before the first start.
 */
#ifndef TEN_TOKEN_FILES_H
#define TEN_TOKEN_FILES_H

#include <stdbool.h>

#include "cli/cli.h"
#include "common/token_store.h"
#include "error.h"

struct token_files {
	char *data_dir; /* owned */
	int data;       /* a descriptor of it */
	int own;        /* of its .tenement */
	int folder;     /* of the tokens in there; -1: there are none */
};

/* Whether the daemon is neither elsewhere nor there to be asked. */
bool token_files_needed(struct cli *cli);

/* Open it. With TOKEN_STORE_MAKE what is missing is made as the daemon would. From then on we are
 * the owner of the folder, if we were root. Returns an exit code; what is wrong was said. */
int token_files_open(struct cli *cli, enum token_store_make make, struct token_files *files);
void token_files_close(struct token_files *files);
#define autotokenfiles __attribute__((cleanup(token_files_close)))

/* Keep TEXT as {data_dir}/api_token. *PATH (the caller frees) is where; *REPLACED whether another
 * one was there. */
int token_files_save(
	struct cli *cli, const char *text, char **path, bool *replaced, struct ten_error *err);

/* The path of {data_dir}/api_token, if it can be seen to hold the token ID; NULL otherwise. The
 * caller frees. */
char *token_files_saved(struct cli *cli, const char *id);

/* Write down what was done on the files, as the daemon would. */
void token_files_audit(
	const struct token_files *files, const char *method, const char *path, int status);

#endif
