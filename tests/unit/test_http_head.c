#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"

#define HOST "Host: a.example\r\n"

static const struct {
	const char *rfc; /* and the section of it that says so */
	const char *data;
	int status; /* 0: accepted */
} requests[] = {
	{ "9112, 2.2", "GET / HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 2.2", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 2.2", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 2.2", "GET / HTTP/1.1\n" HOST "\r\n", 400 },
	{ "9112, 2.2", "GET / HTTP/1.1\r\n" HOST "\n", 400 },
	{ "9112, 2.2", "GET / HTTP/1.1\r\r\n" HOST "\r\n", 400 },
	{ "9112, 2.2", "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 400 },
	{ "9112, 2.2", " GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 2.2", "\nGET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET / http/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET / HTTP/1.10\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "GET / HTTP/11\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "G@T / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3", "get / HTTP/1.1\r\n" HOST "\r\n",
		0 }, /* a token like any other, but not GET */
	{ "9112, 3", "PROPFIND / HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 3", "GARBAGE\r\n\r\n", 400 },
	{ "9112, 2.3", "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "9112, 2.3", "GET / HTTP/1.2\r\n" HOST "\r\n", 505 },
	{ "9112, 2.3", "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
	{ "9112, 2.3", "GET / HTTP/0.9\r\n\r\n", 505 },
	{ "9112, 2.3", "GET /\r\n\r\n", 505 },
	{ "9112, 2.3", "PRI * HTTP/2.0\r\n\r\n", 505 },
	{ "9112, 3.2", "GET http://a.example HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 3.2", "GET http://a.example/x?y HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 3.2", "GET HTTPS://A.EXAMPLE/x HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 3.2", "GET http://b.example/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET http://u@a.example/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET http:///x HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET ftp://a.example/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET http://a.example/ HTTP/1.1\r\n\r\n", 400 },
	{ "9112, 3.2", "GET http://a.example/ HTTP/1.0\r\n\r\n", 0 },
	{ "9112, 3.2", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET /{a}|b HTTP/1.1\r\n" HOST "\r\n", 0 }, /* browsers do */
	{ "9112, 3.2", "GET a HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "GET * HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "9112, 3.2", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9112, 3.2", "CONNECT a.example:80 HTTP/1.1\r\n" HOST "\r\n", 501 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: .a\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", 0 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a.:80\r\n\r\n", 0 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 0 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400 },
	{ "9112, 3.2", "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", 0 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A:b\r\n c\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A:b\r\n\tc\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A(: b\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "\xc3\xa4: b\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n", 400 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A: \xc3\xa4\tb \r\n\r\n", 0 },
	{ "9112, 5.1", "GET / HTTP/1.1\r\n" HOST "A:\r\nB:   \r\n\r\n", 0 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 0 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
		400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n",
		400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\n", 0 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n",
		400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 0 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked \r\n\r\n", 0 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n",
		400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 400 },
	{ "9112, 6.3", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400 },
	{ "9112, 6.3",
		"POST / HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		400 },
	{ "9112, 6.3",
		"POST / HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		400 },
	{ "9112, 6.3",
		"POST / HTTP/1.1\r\n" HOST
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		400 },
	{ "9112, 6.3", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ "9112, 6.1",
		"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
		"chunked\r\n\r\n",
		400 },
	{ "9112, 6.1", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n", 400 },
	{ "9112, 6.1", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400 },
	{ "9110, 8.6", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5,\r\n\r\n", 400 },
	{ "9110, 8.6", "POST / HTTP/1.1\r\n" HOST "Content-Length: \xb2\r\n\r\n", 400 },
	{ "9110, 8.6", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0000000000000000005\r\n\r\n",
		400 },
	{ "9110, 8.6", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5;x\r\n\r\n", 400 },
	{ "9110, 5.5", "GET / HTTP/1.1\r\n" HOST "A: \x1b[2J\r\n\r\n", 400 },
	{ "9110, 5.5", "GET / HTTP/1.1\r\n" HOST "A: b\x0b\r\n\r\n", 400 },
	{ "9110, 5.6.2", "GET / HTTP/1.1\r\n" HOST "A\tB: c\r\n\r\n", 400 },
	{ "9110, 5.6.2", "GET / HTTP/1.1\r\n" HOST "A\x7f: c\r\n\r\n", 400 },
	{ "9110, 7.2", "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:80\r\n\r\n", 0 },
	{ "9110, 7.2", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400 },
	{ "9110, 7.2", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400 },
	{ "9110, 7.2", "GET / HTTP/1.1\r\nHost: [::1]:80:80\r\n\r\n", 400 },
	{ "9110, 7.2", "GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n", 400 },
	{ "9110, 9.1", "OPTIONS http://a.example HTTP/1.1\r\n" HOST "\r\n", 0 },
	{ "9110, 9.3.6", "CONNECT / HTTP/1.1\r\n" HOST "\r\n", 501 },
	{ "9110, 10.1.1", "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n", 0 },
	{ "9110, 10.1.1", "POST / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", 417 },
	{ "9110, 10.1.1", "POST / HTTP/1.0\r\n" HOST "Expect: tea\r\n\r\n", 0 },
};

static const struct {
	const char *rfc;
	const char *data;
	int status;
} responses[] = {
	{ "9112, 4", "HTTP/1.1 200 OK\r\n\r\n", 0 },
	{ "9112, 4", "HTTP/1.1 200\r\n\r\n", 0 },
	{ "9112, 4", "HTTP/1.1 200 \r\n\r\n", 0 },
	{ "9112, 4", "HTTP/1.0 404 Not \xe4 Found\r\nA: b\r\n\r\n", 0 },
	{ "9112, 2.2", "\r\nHTTP/1.1 200 OK\r\n\r\n", 502 },
	{ "9110, 15", "HTTP/1.1 099 x\r\n\r\n", 502 },
	{ "9110, 15", "HTTP/1.1 600 x\r\n\r\n", 502 },
	{ "9110, 15", "HTTP/1.1 20 x\r\n\r\n", 502 },
	{ "9110, 15", "HTTP/1.1 2000 x\r\n\r\n", 502 },
	{ "9112, 4", "HTTP/1.1  200 x\r\n\r\n", 502 },
	{ "9112, 2.3", "HTTP/2.0 200 x\r\n\r\n", 502 },
	{ "9112, 4", "HTTP/1.1 200 \x01\r\n\r\n", 502 },
	{ "9112, 4", "SSH-2.0-x\r\n\r\n", 502 },
	{ "9112, 2.2", "HTTP/1.1 200 OK\nA: b\n\n", 502 },
	{ "9112, 6.3", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 502 },
	{ "9112, 6.3", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		502 },
	{ "9112, 6.3", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502 },
	{ "9112, 6.3", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502 },
	{ "9110, 7.2", "HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\nExpect: x\r\n\r\n", 0 },
};

static struct http_head head, pieces;

static int parse(enum http_kind kind, const char *data, size_t len)
{
	http_head_init(&head, kind, 4096, 16);
	return http_head_parse(&head, data, len);
}

/* Byte by byte the outcome is the same, and comes neither sooner nor later than it can be known. */
static void check_pieces(enum http_kind kind, const char *data, size_t len, int whole)
{
	int result = 0;

	http_head_init(&pieces, kind, 4096, 16);
	for (size_t at = 1; at <= len && !result; at++)
		result = http_head_parse(&pieces, data, at);
	ck_assert_int_eq(result, whole);
	ck_assert_uint_eq(pieces.refused_status, head.refused_status);
	ck_assert_uint_eq(pieces.field_count, head.field_count);
	if (whole > 0) {
		ck_assert_int_eq(pieces.body, head.body);
		ck_assert_uint_eq(pieces.content_length, head.content_length);
	}
}

static void check_one(enum http_kind kind, const char *rfc, const char *data, int status)
{
	size_t len = strlen(data);
	/* In memory of exactly that size, so that a sanitizer sees a step beyond. */
	char *copy = malloc(len);
	int result;

	memcpy(copy, data, len);
	result = parse(kind, copy, len);
	ck_assert_msg(status ? result == -1 && head.refused_status == status : result == (int)len,
		"RFC %s: %s\n-> %d, %u %s", rfc, data, result, head.refused_status,
		head.refused_reason ? head.refused_reason : "");
	check_pieces(kind, copy, len, result);
	free(copy);
}

START_TEST(test_requests)
{
	check_one(HTTP_REQUEST, requests[_i].rfc, requests[_i].data, requests[_i].status);
}
END_TEST

START_TEST(test_responses)
{
	check_one(HTTP_RESPONSE, responses[_i].rfc, responses[_i].data, responses[_i].status);
}
END_TEST

START_TEST(test_nul)
{
	static const char in_value[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";
	static const char in_name[] = "GET / HTTP/1.1\r\n" HOST "A\0: b\r\n\r\n";
	static const char in_target[] = "GET /\0 HTTP/1.1\r\n" HOST "\r\n";

	ck_assert_int_eq(parse(HTTP_REQUEST, in_value, sizeof(in_value) - 1), -1);
	ck_assert_int_eq(parse(HTTP_REQUEST, in_name, sizeof(in_name) - 1), -1);
	ck_assert_int_eq(parse(HTTP_REQUEST, in_target, sizeof(in_target) - 1), -1);
	ck_assert_uint_eq(head.refused_status, 400);
}
END_TEST

static void check_text(const struct http_text *text, const char *want)
{
	ck_assert_uint_eq(text->len, strlen(want));
	ck_assert_int_eq(memcmp(text->data, want, text->len), 0);
}

START_TEST(test_parts_of_a_request)
{
	static const char data[] = "POST http://A.example:81/x/y?q=1?2 HTTP/1.1\r\n"
				   "Host:\t a.EXAMPLE:81 \r\nConnection: Upgrade,, x , Close\r\n"
				   "Upgrade: y\r\nX-Empty:\r\nContent-Length: 007\r\n"
				   "Expect: 100-continue\r\n\r\nbody...";
	int bytes = parse(HTTP_REQUEST, data, sizeof(data) - 1);

	ck_assert_int_eq(bytes, (int)sizeof(data) - 1 - 7);
	ck_assert_int_eq(head.method, HTTP_METHOD_POST);
	ck_assert_int_eq(head.form, HTTP_TARGET_ABSOLUTE);
	ck_assert_uint_eq(head.minor, 1);
	check_text(&head.method_text, "POST");
	check_text(&head.path, "/x/y");
	check_text(&head.query, "q=1?2");
	check_text(&head.host, "a.EXAMPLE");
	check_text(&head.authority, "a.EXAMPLE:81");
	ck_assert(head.connection_close && head.connection_upgrade && !head.connection_keep_alive);
	ck_assert(head.has_upgrade && head.expects_continue && !http_head_keeps_alive(&head));
	ck_assert_int_eq(head.body, HTTP_BODY_LENGTH);
	ck_assert_uint_eq(head.content_length, 7);
	ck_assert_uint_eq(head.field_count, 6);
	ck_assert_uint_eq(http_head_field(&head, "x-EMPTY")->value_len, 0);
	ck_assert_ptr_null(http_head_field(&head, "x-empt"));
	ck_assert_int_eq(http_head_parse(&head, data, sizeof(data) - 1), bytes);
}
END_TEST

/* Over all lines together. */
START_TEST(test_options_of_a_connection)
{
	static const char begin[] =
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: a,,b\r\nConnection: c";

	for (int options = HTTP_CONNECTION_OPTIONS_MAX; options <= HTTP_CONNECTION_OPTIONS_MAX + 1;
		options++) {
		char data[sizeof(begin) + 3 * (HTTP_CONNECTION_OPTIONS_MAX + 2)];
		size_t len = sizeof(begin) - 1;

		memcpy(data, begin, len);
		for (int i = 3; i < options; i++, len += 2)
			memcpy(data + len, ",x", 2);
		memcpy(data + len, "\r\n\r\n", 4);
		len += 4;
		if (options <= HTTP_CONNECTION_OPTIONS_MAX) {
			ck_assert_int_eq(parse(HTTP_REQUEST, data, len), (int)len);
		} else {
			ck_assert_int_lt(parse(HTTP_REQUEST, data, len), 0);
			ck_assert_int_eq(head.refused_status, 431);
		}
	}
}
END_TEST

START_TEST(test_paths)
{
	static const struct {
		const char *line, *path, *query;
	} rows[] = {
		{ "GET / HTTP/1.1", "/", NULL },
		{ "GET /? HTTP/1.1", "/", "" },
		{ "GET //a HTTP/1.1", "//a", NULL },
		{ "GET http://a.example HTTP/1.1", "/", NULL },
		{ "GET http://a.example?b HTTP/1.1", "/", "b" },
		{ "OPTIONS http://a.example HTTP/1.1", "*", NULL },
		{ "OPTIONS * HTTP/1.1", "*", NULL },
	};
	char data[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int len = snprintf(data, sizeof(data), "%s\r\n" HOST "\r\n", rows[i].line);
		ck_assert_int_eq(parse(HTTP_REQUEST, data, (size_t)len), len);
		check_text(&head.path, rows[i].path);
		if (rows[i].query)
			check_text(&head.query, rows[i].query);
		else
			ck_assert_ptr_null(head.query.data);
	}
}
END_TEST

static int parse_sized(const char *line, char fill, size_t fill_len, const char *rest)
{
	static char data[65536];
	size_t line_len = strlen(line);

	memcpy(data, line, line_len);
	memset(data + line_len, fill, fill_len);
	memcpy(data + line_len + fill_len, rest, strlen(rest));
	return http_head_parse(&head, data, line_len + fill_len + strlen(rest));
}

START_TEST(test_limits)
{
	static const char begin[] = "GET / HTTP/1.1\r\n" HOST "A: ";
	size_t room = 4096 - strlen(begin) - 4;

	http_head_init(&head, HTTP_REQUEST, 4096, 16);
	ck_assert_int_eq(parse_sized(begin, 'x', room, "\r\n\r\n"), 4096);
	http_head_init(&head, HTTP_REQUEST, 4096, 16);
	ck_assert_int_eq(parse_sized(begin, 'x', room + 1, "\r\n\r\n"), -1);
	ck_assert_uint_eq(head.refused_status, 431);
	http_head_init(&head, HTTP_REQUEST, 4096, 16);
	ck_assert_int_eq(parse_sized(begin, 'x', 4096, ""), -1);
	ck_assert_uint_eq(head.refused_status, 431);

	http_head_init(&head, HTTP_REQUEST, 32768, 16);
	ck_assert_int_gt(
		parse_sized("GET /", 'x', HTTP_TARGET_MAX - 1, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	http_head_init(&head, HTTP_REQUEST, 32768, 16);
	ck_assert_int_eq(
		parse_sized("GET /", 'x', HTTP_TARGET_MAX, " HTTP/1.1\r\n" HOST "\r\n"), -1);
	ck_assert_uint_eq(head.refused_status, 414);
	http_head_init(&head, HTTP_REQUEST, 4096, 16);
	ck_assert_int_eq(parse_sized("GET /", 'x', 5000, ""), -1);
	ck_assert_uint_eq(head.refused_status, 414);
}
END_TEST

START_TEST(test_field_count)
{
	char data[4096];
	int len = 0;

	for (int fields = 300; fields >= 299; fields--) {
		len = snprintf(data, sizeof(data), "GET / HTTP/1.1\r\n" HOST);
		for (int i = 1; i < 16 + (fields == 300); i++)
			len += snprintf(data + len, sizeof(data) - (size_t)len, "A: %d\r\n", i);
		len += snprintf(data + len, sizeof(data) - (size_t)len, "\r\n");
		ck_assert_int_eq(parse(HTTP_REQUEST, data, (size_t)len), fields == 300 ? -1 : len);
	}
	ck_assert_uint_eq(head.field_count, 16);
	http_head_init(&head, HTTP_REQUEST, 4096, 100000);
	ck_assert_uint_eq(head.max_fields, HTTP_FIELDS_MAX);
}
END_TEST

START_TEST(test_response_bodies)
{
	static const struct {
		const char *data;
		enum http_method method;
		enum http_body body;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_UNTIL_CLOSE },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_METHOD_GET,
			HTTP_BODY_LENGTH },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HTTP_METHOD_HEAD,
			HTTP_BODY_NONE },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_POST,
			HTTP_BODY_CHUNKED },
		{ "HTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE },
		{ "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE },
		{ "HTTP/1.1 100 x\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE },
		{ "HTTP/1.1 101 x\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_gt(parse(HTTP_RESPONSE, rows[i].data, strlen(rows[i].data)), 0);
		ck_assert_int_eq(http_response_body(&head, rows[i].method), rows[i].body);
	}
}
END_TEST

START_TEST(test_keeping_alive)
{
	static const struct {
		const char *data;
		bool keeps;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n\r\n", true },
		{ "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\nConnection: a\r\nConnection: b, CLOSE\r\n\r\n", false },
		{ "HTTP/1.1 200 OK\r\nConnection: closed\r\n\r\n", true },
		{ "HTTP/1.0 200 OK\r\n\r\n", false },
		{ "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n\r\n", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_gt(parse(HTTP_RESPONSE, rows[i].data, strlen(rows[i].data)), 0);
		ck_assert_int_eq(http_head_keeps_alive(&head), rows[i].keeps);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_head");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, test_requests, 0, sizeof(requests) / sizeof(requests[0]));
	tcase_add_loop_test(tests, test_responses, 0, sizeof(responses) / sizeof(responses[0]));
	tcase_add_test(tests, test_nul);
	tcase_add_test(tests, test_parts_of_a_request);
	tcase_add_test(tests, test_options_of_a_connection);
	tcase_add_test(tests, test_paths);
	tcase_add_test(tests, test_limits);
	tcase_add_test(tests, test_field_count);
	tcase_add_test(tests, test_response_bodies);
	tcase_add_test(tests, test_keeping_alive);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
