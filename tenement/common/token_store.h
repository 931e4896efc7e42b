/*
 * The tokens of a data_dir: one small file each, called by its id, in .tenement/tokens/ (0700, the
 * files 0600), for the daemon and for `ten` where none runs. Each is written whole or not at all,
 * and never changed afterwards but for its times: when a token is used, at most once in a minute,
 * its file is given that time and TOKEN_STORE_USED_NSEC as the nanosecond that says so.
 *
 * What lies there and is not such a file of ours grants nothing and is passed over with a word.
 */
#ifndef TEN_TOKEN_STORE_H
#define TEN_TOKEN_STORE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "error.h"
#include "token.h"

#define TOKEN_STORE_FOLDER    "tokens"
#define TOKEN_STORE_MAX       65536u /* tokens */
#define TOKEN_STORE_USED_NSEC 1

/* The folder OWN_FD (.tenement) has of them: made if MAKE is there, and ours alone. A descriptor;
 * -1 with err->code ENOENT when there is none. */
enum token_store_make { TOKEN_STORE_TAKE, TOKEN_STORE_MAKE };
int token_store_open(int own_fd, enum token_store_make make, struct ten_error *err);

/* Make TOKEN anew: its randomness, its id and its time, then its file. TEXT is the token itself,
 * that nobody is ever shown again. .scope, .of, .read_only, .expires, .by and .description are the
 * caller's. */
int token_store_add(
	int folder, struct token *token, char text[TOKEN_TEXT_SIZE], struct ten_error *err);

/* 1: removed, and that is on disk; 0: there is none. */
int token_store_remove(int folder, const char *id, struct ten_error *err);

/* The token of the file ID. *used: when it was last used, 0: never. -1: it is none that counts;
 * err->code is EMFILE, EIO, ... where that is for want of something and no word on the file. */
int token_store_read(int folder, const char *id, struct token *token, int64_t *used,
	struct stat *st, struct ten_error *err);

/* Whether a file with ST is one that may count: ours or root's, and nobody else's business. */
bool token_store_trusts(const struct stat *st);

/* Its token was used at NOW. */
void token_store_mark_used(int folder, const char *id, int64_t now);

/* Give each id that there is a file of to VISIT, and each other name to STRANGE (which may be
 * NULL). -1: the folder cannot be read to its end. */
int token_store_list(DIR *folder, void (*visit)(void *data, const char *id),
	void (*strange)(void *data, const char *name), void *data, struct ten_error *err);

#endif
