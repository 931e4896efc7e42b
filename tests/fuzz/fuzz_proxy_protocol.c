/* Every prefix of a PROXY header is either too short to be judged or judged as the whole is, and
 * nothing beyond a header's own bytes has a say. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_protocol.h"

#define LOOKED_AT_MAX (16 + 108 + 108) /* what is beyond is passed over */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int parse(struct proxy_protocol *header, const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	int result;

	require(copy != NULL);
	memcpy(copy, data, size);
	result = proxy_protocol_parse(header, copy, size);
	free(copy);
	return result;
}

static void require_same(const struct proxy_protocol *one, const struct proxy_protocol *other)
{
	require(one->source == other->source);
	require(!memcmp(one->address, other->address, sizeof(one->address)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_protocol whole, piece;
	size_t looked_at = size < LOOKED_AT_MAX ? size : LOOKED_AT_MAX;
	int result = parse(&whole, data, size), first = 0;

	require(result >= -1 && result <= PROXY_PROTOCOL_MAX);
	require((result < 0) == (whole.refused != NULL));
	for (size_t at = 0; at <= looked_at && !first; at++)
		first = parse(&piece, data, at);
	require(first == result);
	if (result <= 0)
		return 0;
	require_same(&whole, &piece);
	if ((size_t)result < size) {
		require(parse(&piece, data, (size_t)result) == result);
		require_same(&whole, &piece);
	}
	return 0;
}
