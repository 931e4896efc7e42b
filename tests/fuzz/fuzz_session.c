/*
 * What a browser brings as cookies, what lies in the record of sessions, and a configuration that
 * is to be shown without its secrets: nothing of it harms, values lie within the field, records
 * that are taken are bounded, and what is masked has the lines that it had.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_mask.h"
#include "mem.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void cookies(const char *text, size_t len)
{
	struct sessions *sessions = sessions_new();
	struct http_text value;
	size_t at = 0, before = 0;

	while (session_cookie_next(text, len, SESSION_COOKIE, &at, &value)) {
		require(at > before && at <= len + 1);
		require(value.data >= text && value.data + value.len <= text + len);
		require(!session_find(sessions, value.data, value.len, 1));
		before = at;
	}
	sessions_free(sessions);
}

static void record(const char *text, size_t len)
{
	struct sessions *sessions = sessions_new(), *again = sessions_new();
	autotext struct text out = { 0 };
	struct ten_error err;

	if (sessions_parse(sessions, text, len, "boot", 1000, &err) == 0) {
		require(sessions_count(sessions) <= SESSIONS_MAX);
		sessions_format(sessions, "boot", &out);
		require(sessions_parse(again, out.data, out.len, "boot", 1000, &err) == 0);
		require(sessions_count(again) == sessions_count(sessions));
	} else {
		require(sessions_count(sessions) == 0);
	}
	sessions_free(sessions);
	sessions_free(again);
}

static size_t lines_of(const char *text)
{
	size_t lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void mask(const char *text, size_t len)
{
	autofree char *copy = mem_strndup(text, len);
	autofree char *masked = config_mask(text, len);

	require(!masked || lines_of(masked) == lines_of(copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = mem_alloc(size + 1);

	if (size)
		memcpy(text, data, size);
	cookies(text, size);
	record(text, size);
	mask(text, size);
	return 0;
}
