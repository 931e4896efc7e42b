#include "wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool wire_parse(const char *buffer, size_t len, struct wire *wire)
{
	wire->count = 0;
	if (!len || len > WIRE_BYTES || buffer[len - 1] != '\0')
		return false;
	for (size_t at = 0; at < len; at += strlen(buffer + at) + 1) {
		if (wire->count == WIRE_FIELDS)
			return false;
		wire->fields[wire->count++] = buffer + at;
	}
	return wire->fields[0][0] != '\0';
}

bool wire_is(const struct wire *wire, const char *verb, size_t fields)
{
	return wire->count >= fields + 1 && strcmp(wire->fields[0], verb) == 0;
}

bool wire_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number)
{
	bool negative = *text == '-';
	const char *digit = text + negative;
	int64_t value = 0;

	if (!*digit || strlen(digit) > 18)
		return false;
	for (; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return false;
		value = value * 10 + (*digit - '0');
	}
	*number = negative ? -value : value;
	return *number >= minimum && *number <= maximum;
}

bool wire_add(struct wire_buffer *buffer, const char *field)
{
	size_t len = strlen(field) + 1;

	if (len > sizeof(buffer->bytes) - buffer->len)
		return false;
	memcpy(buffer->bytes + buffer->len, field, len);
	buffer->len += len;
	return true;
}

bool wire_add_number(struct wire_buffer *buffer, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	return wire_add(buffer, text);
}
