/*
 * Whatever lies in a file of a token: it is refused, or it is exactly what is written for what was
 * read, and what was read is sound.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct token token;
	unsigned char digest[TOKEN_DIGEST_BYTES];
	autotext struct text again = { 0 };

	token_digest((const char *)data, size, digest);
	if (token_parse((const char *)data, size, &token, NULL) < 0)
		return 0;
	require(token_is_id(token.id) && token.expires >= 0 && token.created >= 0);
	require(token.scope != TOKEN_TENANT || names_valid(token.of));
	require(token.scope != TOKEN_INSTANCE || strchr(token.of, ':'));
	require((token.scope == TOKEN_ALL) == !*token.of);
	token_format(&token, &again);
	require(again.len == size && memcmp(again.data, data, size) == 0);
	return 0;
}
