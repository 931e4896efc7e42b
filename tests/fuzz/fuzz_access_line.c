/*
 * Whatever a client sends, its line in an access log is one line of well-formed UTF-8, a JSON
 * object or a line of the combined form, and not too long; and a batch that holds it gives it back.
 * Read as a batch itself, an input gives nothing that lies outside of it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "access_batch.h"
#include "access_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char line[ACCESS_LINE_MAX], batch[ACCESS_BATCH_MAX];

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* The next part of the input, up to a newline. */
static struct http_text part(const char **at, const char *end)
{
	const char *begin = *at;
	const char *newline = memchr(begin, '\n', (size_t)(end - begin));

	*at = newline ? newline + 1 : end;
	return (struct http_text){ begin, (size_t)((newline ? newline : end) - begin) };
}

/* Quotes that are not escaped: each string of JSON has two. */
static size_t quotes(const char *text)
{
	size_t count = 0;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		else
			count += *text == '"';
	}
	return count;
}

static void check(enum access_format format, const struct access_line *values)
{
	struct access_entry entry = { .target = { 1, 2 }, .tenant = "a:b", .tenant_len = 3 };
	struct access_entry back;
	size_t len = access_line_format(line, format, values), batch_len = 0, at = 0;

	require(len < ACCESS_LINE_MAX && strlen(line) == len);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)line[i];
		require(byte >= ' ' && byte != 0x7f);
		require(format == ACCESS_JSON || byte < 0x7f);
	}
	if (format == ACCESS_JSON)
		/* Of every input as many, for none has put in one of its own. */
		require(line[0] == '{' && line[len - 1] == '}' && quotes(line) == 64);
	else
		require(quotes(line) == 6 && line[len - 1] == '"');
	entry.line = line;
	entry.line_len = len;
	require(access_batch_add(batch, sizeof(batch), &batch_len, &entry));
	require(access_batch_next(batch, batch_len, &at, &back) && at == batch_len);
	require(back.line_len == len && !memcmp(back.line, line, len));
}

static void read_batch(const char *bytes, size_t size)
{
	struct access_entry entry;
	char service[NAMES_MAX + 1], id[NAMES_MAX + 1];
	size_t at = 0;

	while (access_batch_next(bytes, size, &at, &entry)) {
		require(at <= size && entry.tenant >= bytes);
		require(entry.line + entry.line_len <= bytes + size);
		if (access_tenant_split(entry.tenant, entry.tenant_len, service, id))
			require(!strchr(service, '/') && !strchr(id, '/') && *service && *id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct access_line values = {
		.time_ms = INT64_C(1795199273123),
		.status = 200,
		.tenant = "notes:alice",
		.refused = "down",
	};

	if (!size)
		return 0;
	read_batch(at, size);
	values.client = part(&at, end);
	values.method = part(&at, end);
	values.target = part(&at, end);
	values.host = part(&at, end);
	values.route = part(&at, end);
	values.referer = part(&at, end);
	values.user_agent = part(&at, end);
	values.request_id = (struct http_text){ at, (size_t)(end - at) };
	check(ACCESS_JSON, &values);
	check(ACCESS_COMBINED, &values);
	return 0;
}
