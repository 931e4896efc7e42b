/*
 * Names and characters of HTTP/1 fields: which bytes a token or a value may hold, which names this
 * proxy knows, and how a comma list is walked.
 */
#ifndef TEN_HTTP_FIELD_H
#define TEN_HTTP_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view of somebody else's bytes; .data is NULL where there is none. */
struct http_text {
	const char *data;
	size_t len;
};

/* The names that are treated specially somewhere. Everything else is HTTP_FIELD_OTHER. */
enum http_field_id {
	HTTP_FIELD_OTHER,
	HTTP_FIELD_ALIAS, /* one of those below but for '_' in place of '-': to a CGI-style program
			     it looks the same */
	HTTP_FIELD_TE,
	HTTP_FIELD_HOST,
	HTTP_FIELD_ACCEPT,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_TRAILER,
	HTTP_FIELD_UPGRADE,
	HTTP_FIELD_FORWARDED,
	HTTP_FIELD_X_REAL_IP,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_KEEP_ALIVE,
	HTTP_FIELD_X_REQUEST_ID,
	HTTP_FIELD_CONTENT_LENGTH,
	HTTP_FIELD_X_FORWARDED_FOR,
	HTTP_FIELD_X_FORWARDED_HOST,
	HTTP_FIELD_PROXY_CONNECTION,
	HTTP_FIELD_X_FORWARDED_PROTO,
	HTTP_FIELD_TRANSFER_ENCODING,
	HTTP_FIELD_PROXY_AUTHENTICATE,
	HTTP_FIELD_PROXY_AUTHORIZATION,
	HTTP_FIELD_X_FORWARDED_OTHER, /* X-Forwarded-Port and whatever else begins so */
	HTTP_FIELD_IDS
};

struct http_field {
	const char *name;  /* as written */
	const char *value; /* without white space around it */
	uint32_t name_len;
	uint32_t value_len;
	enum http_field_id id;
};

/* Which of the known names this is, case not regarded. */
enum http_field_id http_field_identify(const char *name, size_t len);

bool http_is_token(const char *data, size_t len); /* RFC 9110 5.6.2; not empty */
bool http_is_value(const char *data, size_t len); /* RFC 9110 5.5: no control but HTAB */

/* Equal but for the case of ASCII letters. */
bool http_text_is(const char *data, size_t len, const char *word);

/* Walk a comma list: put the next element, trimmed and not empty, into *ITEM. *AT begins at 0. */
bool http_list_next(const char *list, size_t len, size_t *at, struct http_text *item);

#endif
