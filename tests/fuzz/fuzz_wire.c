/* What is taken for a message lies inside its bytes, and made again from its fields is the same. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_number(const char *field)
{
	int64_t number, again;
	char *end;

	if (!wire_number(field, INT64_MIN, INT64_MAX, &number))
		return;
	errno = 0;
	require(strtoll(field, &end, 10) == number && !errno && !*end);
	require(!wire_number(field, number + 1, INT64_MAX, &again));
	require(!wire_number(field, INT64_MIN, number - 1, &again));
	require(wire_number(field, number, number, &again) && again == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_buffer buffer;
	char *copy = malloc(size ? size : 1);
	struct wire wire;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	buffer.len = 0;
	if (wire_parse(copy, size, &wire)) {
		require(wire.count >= 1 && wire.count <= WIRE_FIELDS);
		for (size_t i = 0; i < wire.count; i++) {
			require(wire.fields[i] >= copy && wire.fields[i] < copy + size);
			check_number(wire.fields[i]);
			require(wire_add(&buffer, wire.fields[i]));
		}
		require(buffer.len == size && memcmp(buffer.bytes, copy, size) == 0);
		require(wire_is(&wire, wire.fields[0], wire.count - 1));
		require(!wire_is(&wire, wire.fields[0], wire.count));
	}
	free(copy);
	return 0;
}
