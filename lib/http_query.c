#include "http_query.h"

#include <string.h>

#include "mem.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *unescape(const char *text, size_t len)
{
	char *value = mem_strndup(text, len);
	char *to = value;

	for (const char *from = value; *from; from++) {
		int high = *from == '%' ? digit(from[1]) : -1;
		int low = high >= 0 ? digit(from[2]) : -1;

		if (low >= 0 && (high || low)) {
			*to++ = (char)(high * 16 + low);
			from += 2;
		} else {
			*to++ = *from == '+' ? ' ' : *from;
		}
	}
	*to = '\0';
	return value;
}

char *http_query_get(const char *query, const char *name)
{
	size_t wanted = strlen(name);

	while (*query) {
		size_t len = strcspn(query, "&");
		const char *equals = memchr(query, '=', len);
		size_t name_len = equals ? (size_t)(equals - query) : len;

		if (name_len == wanted && memcmp(query, name, wanted) == 0)
			return equals ? unescape(equals + 1, len - name_len - 1) : mem_strdup("");
		query += len + (query[len] == '&');
	}
	return NULL;
}
