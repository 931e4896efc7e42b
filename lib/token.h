/*
 * Bearer tokens for the management API: what one looks like, what is kept of it, and what it is
 * good for.
 *
 * A token is 256 random bits, shown once as "ten_" and 64 hexadecimal digits. Only its SHA-256 is
 * kept, in a record of a few lines:
 *
 *	tenement-token 1
 *	id 3fa9c2d1
 *	sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *	scope instance notes:alice
 *	rights read
 *	created 1795199273
 *	expires 0
 *	by uid 0
 *	description the status page
 */
#ifndef TEN_TOKEN_H
#define TEN_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_set.h"
#include "error.h"
#include "text.h"

#define TOKEN_PREFIX          "ten_"
#define TOKEN_BYTES           32                        /* of randomness */
#define TOKEN_TEXT_SIZE       (4 + 2 * TOKEN_BYTES + 1) /* room for it as text */
#define TOKEN_DIGEST_BYTES    32                        /* of SHA-256 */
#define TOKEN_ID_BYTES        4
#define TOKEN_ID_SIZE         (2 * TOKEN_ID_BYTES + 1)
#define TOKEN_BY_SIZE         64
#define TOKEN_DESCRIPTION_MAX 200
#define TOKEN_RECORD_MAX      1024 /* bytes of a record */

enum token_scope {
	TOKEN_ALL,
	TOKEN_TENANT,   /* all that bear the id OF, in every service */
	TOKEN_INSTANCE, /* OF alone, "service:id" */
	TOKEN_SCOPES
};
extern const char *const token_scope_names[TOKEN_SCOPES]; /* "all", "tenant", "instance" */

struct token {
	char id[TOKEN_ID_SIZE]; /* public */
	unsigned char digest[TOKEN_DIGEST_BYTES];
	enum token_scope scope;
	char of[CONFIG_INSTANCE_MAX]; /* "" for TOKEN_ALL */
	bool read_only;
	int64_t created, expires;                    /* seconds since the epoch; 0: never */
	char by[TOKEN_BY_SIZE];                      /* whose doing it is: "uid 0" */
	char description[TOKEN_DESCRIPTION_MAX + 1]; /* UTF-8, one line */
};

/* The token that RANDOM is, as its owner is shown it. */
void token_show(const unsigned char random[TOKEN_BYTES], char text[TOKEN_TEXT_SIZE]);
void token_show_id(const unsigned char random[TOKEN_ID_BYTES], char id[TOKEN_ID_SIZE]);
bool token_is_id(const char *text);

/* What is kept of TEXT. False: it does not look like a token. */
bool token_digest(const char *text, size_t len, unsigned char digest[TOKEN_DIGEST_BYTES]);

/* Takes as long wherever they differ. */
bool token_same(
	const unsigned char a[TOKEN_DIGEST_BYTES], const unsigned char b[TOKEN_DIGEST_BYTES]);

bool token_expired(const struct token *token, int64_t now);

/* Set what it is good for: OF is an id for TOKEN_TENANT, "service:id" for TOKEN_INSTANCE. */
int token_set_scope(
	struct token *token, enum token_scope scope, const char *of, struct ten_error *err);
int token_set_description(struct token *token, const char *description, struct ten_error *err);

/* The record of it, and the way back, which takes what token_format() gives and nothing else. */
void token_format(const struct token *token, struct text *out);
int token_parse(const char *data, size_t len, struct token *token, struct ten_error *err);

#endif
