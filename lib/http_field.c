#include "http_field.h"

#include <string.h>
#include <strings.h>

enum { TOKEN = 1, VALUE = 2 };

/* What each byte may be part of. */
static const uint8_t classes[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['"'] = VALUE,
	['('] = VALUE,
	[')'] = VALUE,
	[','] = VALUE,
	['/'] = VALUE,
	[':' ... '@'] = VALUE,
	['[' ... ']'] = VALUE,
	['{'] = VALUE,
	['}'] = VALUE,
	['!'] = TOKEN | VALUE,
	['#' ... '\''] = TOKEN | VALUE,
	['*' ... '+'] = TOKEN | VALUE,
	['-' ... '.'] = TOKEN | VALUE,
	['0' ... '9'] = TOKEN | VALUE,
	['A' ... 'Z'] = TOKEN | VALUE,
	['^' ... 'z'] = TOKEN | VALUE,
	['|'] = TOKEN | VALUE,
	['~'] = TOKEN | VALUE,
	[0x80 ... 0xff] = VALUE,
};

static const struct {
	const char *name;
	enum http_field_id id;
} known[] = {
	{ "te", HTTP_FIELD_TE },
	{ "host", HTTP_FIELD_HOST },
	{ "accept", HTTP_FIELD_ACCEPT },
	{ "expect", HTTP_FIELD_EXPECT },
	{ "trailer", HTTP_FIELD_TRAILER },
	{ "upgrade", HTTP_FIELD_UPGRADE },
	{ "forwarded", HTTP_FIELD_FORWARDED },
	{ "x-real-ip", HTTP_FIELD_X_REAL_IP },
	{ "connection", HTTP_FIELD_CONNECTION },
	{ "keep-alive", HTTP_FIELD_KEEP_ALIVE },
	{ "x-request-id", HTTP_FIELD_X_REQUEST_ID },
	{ "content-length", HTTP_FIELD_CONTENT_LENGTH },
	{ "x-forwarded-for", HTTP_FIELD_X_FORWARDED_FOR },
	{ "x-forwarded-host", HTTP_FIELD_X_FORWARDED_HOST },
	{ "proxy-connection", HTTP_FIELD_PROXY_CONNECTION },
	{ "x-forwarded-proto", HTTP_FIELD_X_FORWARDED_PROTO },
	{ "transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING },
	{ "proxy-authenticate", HTTP_FIELD_PROXY_AUTHENTICATE },
	{ "proxy-authorization", HTTP_FIELD_PROXY_AUTHORIZATION },
};

/* Where in known[], which is ordered by length, the names of one length begin. */
#define LONGEST 19
static const uint8_t begin[LONGEST + 2] = { 0, 0, 0, 1, 1, 2, 2, 4, 6, 6, 8, 10, 10, 11, 11, 12, 13,
	15, 17, 18, 19 };

static const char any_forwarded[] = "x-forwarded-";

static char folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	return c == '_' ? '-' : c;
}

/* NAME is WORD, with case and the difference between '_' and '-' folded. */
static bool same_name(const char *name, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (folded(name[i]) != word[i])
			return false;
	return true;
}

enum http_field_id http_field_identify(const char *name, size_t len)
{
	enum http_field_id id = HTTP_FIELD_OTHER;

	if (len <= LONGEST)
		for (size_t i = begin[len]; i < begin[len + 1] && !id; i++)
			if (same_name(name, known[i].name, len))
				id = known[i].id;
	if (!id && len >= sizeof(any_forwarded) - 1 &&
		same_name(name, any_forwarded, sizeof(any_forwarded) - 1))
		id = HTTP_FIELD_X_FORWARDED_OTHER;
	if (id && memchr(name, '_', len))
		id = HTTP_FIELD_ALIAS;
	return id;
}

static bool all_of(const char *data, size_t len, uint8_t class)
{
	for (size_t i = 0; i < len; i++)
		if (!(classes[(uint8_t)data[i]] & class))
			return false;
	return true;
}

bool http_is_token(const char *data, size_t len)
{
	return len && all_of(data, len, TOKEN);
}

bool http_is_value(const char *data, size_t len)
{
	return all_of(data, len, VALUE);
}

bool http_text_is(const char *data, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp(data, word, len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool http_list_next(const char *list, size_t len, size_t *at, struct http_text *item)
{
	while (*at < len) {
		const char *start = list + *at;
		const char *comma = memchr(start, ',', len - *at);
		const char *end = comma ? comma : list + len;

		*at = (size_t)(end - list) + 1;
		while (start < end && is_blank(*start))
			start++;
		while (end > start && is_blank(end[-1]))
			end--;
		if (end > start) {
			*item = (struct http_text){ start, (size_t)(end - start) };
			return true;
		}
	}
	return false;
}
