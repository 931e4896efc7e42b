/*
 * Tokens as JSON, for the API and for `ten` where no daemon runs. Nothing of what is kept of a
 * token itself is in it.
 */
#ifndef TEN_TOKEN_JSON_H
#define TEN_TOKEN_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "token.h"

/* USED: when it was last used, 0: never, as far as is known. */
json_t *token_json(const struct token *token, int64_t used, int64_t now);

/* What TOKEN is to be good for, as BODY says: {"tenant": "alice"} or {"instance": "notes:alice"} or
 * neither, "read_only", "expires" (seconds since the epoch, after NOW) and "description". */
int token_json_read(const json_t *body, int64_t now, struct token *token, struct ten_error *err);

#endif
