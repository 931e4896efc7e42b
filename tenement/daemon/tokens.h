/*
 * The tokens that the API knows. Their files (common/token_store.h) are the truth: whether any came
 * or went is asked of their folder with each request that brings a token, so that what `ten` makes
 * or revokes beside the daemon counts at once.
 */
#ifndef TEN_TOKENS_H
#define TEN_TOKENS_H

#include "daemon/daemon.h"
#include "daemon/principal.h"
#include "token.h"

void tokens_start(struct daemon *d);
void tokens_stop(struct daemon *d);

enum tokens_verdict {
	TOKENS_GOOD = 0,
	TOKENS_UNKNOWN = -1, /* also one that was revoked */
	TOKENS_EXPIRED = -2,
};

/* Who brings BEARER. Any wrong one takes the same time. Only a good one fills *who. */
int tokens_check(struct daemon *d, const char *bearer, size_t len, struct principal *who);

/* The same for who has shown the token ID before: of a session that began with it. */
int tokens_check_id(struct daemon *d, const char *id, struct principal *who);

/* The id of the token that WHO came with. */
const char *tokens_id_of(const struct principal *who);

/* Whether the token that WHO came with is still good; true for who came without one. */
bool tokens_still_good(struct daemon *d, const struct principal *who);

/* Wrong tokens by address: see tries.h. */
bool tokens_may_try(struct daemon *d, const char *address, unsigned *wait_secs);
void tokens_failed(struct daemon *d, const char *address);

/* A new one (see token_store_add()), and the end of one: 0 when there is none of that ID. */
int tokens_add(
	struct daemon *d, struct token *token, char text[TOKEN_TEXT_SIZE], struct ten_error *err);
int tokens_remove(struct daemon *d, const char *id, struct ten_error *err);

/* Each, the oldest first. */
void tokens_each(struct daemon *d,
	void (*visit)(void *data, const struct token *token, int64_t used), void *data);

#endif
