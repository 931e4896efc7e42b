#include "trace_context.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void trace_hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = '\0';
}

static int value_of(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool parse_hex(const char *text, size_t bytes, uint8_t *out)
{
	for (size_t i = 0; i < bytes; i++) {
		int high = value_of(text[2 * i]), low = value_of(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

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
	if (!parse_hex(text, 1, &version) || !parse_hex(text + 3, 16, context->trace) ||
		!parse_hex(text + 36, 8, context->span) || !parse_hex(text + 53, 1, &flags))
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
	trace_hex(context->trace, 16, text + 3);
	text[35] = '-';
	trace_hex(context->span, 8, text + 36);
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
