#include "trace_context.h"

#include <string.h>

#include "hex.h"

static bool is_nothing(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

/* A later version may have more behind what this one has; 255 is none. */
bool trace_context_parse(const char *text, size_t len, struct trace_context *context)
{
	uint8_t version, flags;

	if (len < TRACE_PARENT_LEN || text[2] != '-' || text[35] != '-' || text[52] != '-')
		return false;
	if (!hex_take(text, &version, 1) || !hex_take(text + 3, context->trace, 16) ||
		!hex_take(text + 36, context->span, 8) || !hex_take(text + 53, &flags, 1))
		return false;
	if (version == 255 ||
		(len > TRACE_PARENT_LEN && (!version || text[TRACE_PARENT_LEN] != '-')))
		return false;
	context->sampled = flags & 1;
	return !is_nothing(context->trace, 16) && !is_nothing(context->span, 8);
}

void trace_context_format(const struct trace_context *context, char text[TRACE_PARENT_LEN + 1])
{
	memcpy(text, "00-", 3);
	hex_put(context->trace, 16, text + 3);
	text[35] = '-';
	hex_put(context->span, 8, text + 36);
	memcpy(text + 52, context->sampled ? "-01" : "-00", 4);
}

bool trace_is_sampled(const uint8_t trace[16], uint32_t hundredths)
{
	uint64_t low = 0;

	for (int i = 8; i < 16; i++)
		low = low << 8 | trace[i];
	/* The lower 63 bits count; the bound is rounded down. */
	return (low & INT64_MAX) / ((uint64_t)INT64_MAX / 100 + 1) < hundredths;
}
