/*
 * A line of an access log, in one of two forms, without its newline:
 *
 *	{"time":"2026-11-20T18:27:53.123Z","client":"192.0.2.7","method":"GET","target":"/x?y",...}
 *	192.0.2.7 - - [20/Nov/2026:18:27:53 +0000] "GET /x?y HTTP/1.1" 200 512 "-" "curl/8.5"
 *
 * Times are UTC, and that at which the request's head was there. Whatever a client sent, a line is
 * one line of well-formed UTF-8: in JSON a control byte, and each byte that is not part of a
 * well-formed character, is written as \u00NN; in the combined form that, a quote, a backslash and
 * everything that is not ASCII as \xNN. What is longer than its bound is cut.
 */
#ifndef TEN_ACCESS_LINE_H
#define TEN_ACCESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_field.h"

#define ACCESS_LINE_MAX 16384 /* bytes of a line, its NUL included */

enum access_format { ACCESS_OFF, ACCESS_JSON, ACCESS_COMBINED, ACCESS_FORMATS };

struct access_line {
	int64_t time_ms; /* since 1970 */
	struct http_text client;
	struct http_text method;
	struct http_text target;
	uint8_t minor;            /* HTTP/1.minor */
	uint16_t status;          /* 499: the client went away before it had one */
	uint64_t bytes_sent;      /* of the answer, with its head */
	uint64_t body_bytes_sent; /* of it without */
	uint64_t bytes_received;  /* of the request, with its head */
	uint64_t duration_us;
	uint64_t upstream_us;   /* until the answer's head had come; 0: it never did */
	struct http_text host;  /* as asked for; .data NULL is null here and below */
	struct http_text route; /* the host name whose record led to the tenant */
	struct http_text referer;
	struct http_text user_agent;
	struct http_text request_id;
	const char *tenant;  /* "notes:alice" */
	const char *refused; /* why the proxy itself answered; NULL: it did not */
	bool upgraded;
	bool complete; /* the whole answer went out */
};

/* OUT has room for ACCESS_LINE_MAX. Returns the length. */
size_t access_line_format(char *out, enum access_format format, const struct access_line *line);

/* A line that stands for COUNT others, which are lost because of WHY. */
size_t access_line_lost(
	char *out, enum access_format format, int64_t time_ms, uint64_t count, const char *why);

#endif
