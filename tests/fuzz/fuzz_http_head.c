/* A head parsed at once and byte by byte must come out the same, and its views must lie inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"
#include "http_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool inside(const char *at, size_t len, const char *data, size_t size)
{
	return !len || (at >= data && at + len <= data + size);
}

static void check_views(const struct http_head *head, const char *data, size_t size)
{
	char name[HTTP_HOST_MAX + 1];

	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		require(inside(field->name, field->name_len, data, size));
		require(inside(field->value, field->value_len, data, size));
		require(http_is_token(field->name, field->name_len));
		require(!memchr(field->value, '\n', field->value_len));
	}
	require(inside(head->target.data, head->target.len, data, size));
	require(inside(head->host.data, head->host.len, data, size));
	http_host_normalize(&head->host, name);
	http_response_body(head, HTTP_METHOD_GET);
	http_head_keeps_alive(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head whole, pieces;
	enum http_kind kind = size && data[0] & 1 ? HTTP_RESPONSE : HTTP_REQUEST;
	char *copy = malloc(size + 1);
	int at_once, by_bytes = 0;

	if (!copy || !size) {
		free(copy);
		return 0;
	}
	/* The first byte chose the kind. */
	size--;
	memcpy(copy, data + 1, size);
	http_head_init(&whole, kind, 2048, 20);
	http_head_init(&pieces, kind, 2048, 20);
	at_once = http_head_parse(&whole, copy, size);
	for (size_t len = 0; len <= size && !by_bytes; len++)
		by_bytes = http_head_parse(&pieces, copy, len);
	require(at_once == by_bytes && at_once <= (int)size);
	require(whole.refused_status == pieces.refused_status);
	require(whole.field_count == pieces.field_count && whole.body == pieces.body);
	if (at_once > 0)
		check_views(&whole, copy, size);
	free(copy);
	return 0;
}
