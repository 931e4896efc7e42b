/*
 * The head of an HTTP/1 request or response, parsed strictly: what two parsers could read
 * differently is refused (RFC 9112, and less than it allows). Pure and incremental.
 *
 *	struct http_head head;
 *	http_head_init(&head, HTTP_REQUEST, 16384, 100);
 *	... read more into buffer ...
 *	int bytes = http_head_parse(&head, buffer, len);
 *	if (bytes == 0) read on;
 *	if (bytes < 0) answer head.refused_status, for head.refused_reason;
 *	else the head is buffer[0 .. bytes), the body follows as head.body says.
 *
 * The result does not depend on how the bytes were split over the calls, and no byte is looked at
 * more than a few times. Views point into the buffer: it must stay where it is from the first call
 * of http_head_parse() until the head is done with.
 */
#ifndef TEN_HTTP_HEAD_H
#define TEN_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_field.h"

#define HTTP_FIELDS_MAX 256  /* max_fields is lowered to this */
#define HTTP_TARGET_MAX 8192 /* 414 beyond */
/* Of a head; 431 beyond. Each is compared with each field's name: thousands would cost much. */
#define HTTP_CONNECTION_OPTIONS_MAX 32

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

enum http_method {
	HTTP_METHOD_OTHER, /* a valid token, but none of these; case counts */
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_CONNECT, /* always refused: 501 */
};

enum http_target_form {
	HTTP_TARGET_ORIGIN,   /* "/path?query" */
	HTTP_TARGET_ABSOLUTE, /* "http://host/path?query" */
	HTTP_TARGET_ASTERISK, /* "*", of OPTIONS only */
};

/* How the end of the body is found (RFC 9112, 6.3). */
enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,      /* .content_length bytes, which may be 0 */
	HTTP_BODY_CHUNKED,     /* see http_chunk.h */
	HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

struct http_head {
	enum http_kind kind;
	uint32_t max_bytes;  /* of the whole head, blank line and all: 431 beyond */
	uint32_t max_fields; /* 431 beyond */

	/* A request's first line. */
	enum http_method method;
	enum http_target_form form;
	struct http_text method_text;
	struct http_text target; /* as written */
	struct http_text path;   /* begins with '/', or is "*"; not decoded */
	struct http_text query;  /* without its '?'; .data is NULL where there is no '?' */

	/* A response's first line. */
	uint16_t status; /* 100-599 */
	struct http_text reason;

	uint8_t minor; /* HTTP/1.minor: 0 or 1 */

	uint32_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX];

	/* What the fields say. */
	struct http_text authority; /* of a request: "host:port" by target or Host, checked */
	struct http_text host; /* the name in it; IPv6 keeps its brackets. Empty: none (1.0 only) */
	bool has_length;       /* there is a Content-Length */
	uint64_t content_length;
	bool chunked;          /* Transfer-Encoding: chunked */
	bool expects_continue; /* of a 1.1 request */
	uint32_t connection_options;
	bool connection_close; /* Connection names it, as below */
	bool connection_keep_alive;
	bool connection_upgrade;
	bool has_upgrade;    /* there is an Upgrade field */
	enum http_body body; /* of a request; for responses ask http_response_body() */

	/* Why http_head_parse() returned -1; the status is 502 for every response. */
	uint16_t refused_status;
	const char *refused_reason; /* short, for people; static */

	/* Progress: for http_head_parse() alone. */
	uint32_t bytes;
	uint32_t line_at;
	uint32_t scanned;
	bool first_line_seen;
	bool blank_seen;
};

void http_head_init(
	struct http_head *head, enum http_kind kind, uint32_t max_bytes, uint32_t max_fields);

/* DATA are all the LEN bytes received since the head began (and may run into the body). Returns
 * the length of the head, 0 when more is needed, -1 when it is refused. Once it has returned
 * anything but 0 it goes on returning that. */
int http_head_parse(struct http_head *head, const char *data, size_t len);

/* The first field of that name, case not regarded; NULL: none. */
const struct http_field *http_head_field(const struct http_head *head, const char *name);

/* The body of a response to a request by METHOD. 1xx, 204, 304 and answers to HEAD have none. */
enum http_body http_response_body(const struct http_head *head, enum http_method method);

/* The connection may carry another message after this one, as far as this head says. */
bool http_head_keeps_alive(const struct http_head *head);

/* Repeating a request by METHOD does what doing it once does (RFC 9110, 9.2.2). */
bool http_method_is_idempotent(enum http_method method);

#endif
