#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "http_body.h"
#include "http_chunk.h"

static const struct {
	const char *rfc; /* and the section of it that says so */
	const char *data;
	const char *decoded; /* NULL: refused */
	const char *rest;    /* behind the end */
} rows[] = {
	{ "9112, 7.1", "0\r\n\r\n", "", "" },
	{ "9112, 7.1", "3\r\nabc\r\n0\r\n\r\n", "abc", "" },
	{ "9112, 7.1", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", "abcde", "GET /" },
	{ "9112, 7.1", "a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n", "01234567890123456789",
		"" },
	{ "9112, 7.1.1", "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", "abc", "" },
	{ "9112, 7.1.2", "0\r\nA: b\r\nC:\r\n\r\nx", "", "x" },
	{ "9112, 7.1", "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "" },
	{ "9112, 7.1", "\r\n", NULL, NULL },
	{ "9112, 7.1.1", ";a\r\n", NULL, NULL },
	{ "9112, 7.1", " 3\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "3 \r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3\t;a\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "0x3\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "-3\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "+3\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "g\r\n", NULL, NULL },
	{ "9112, 7.1", "1000000000000000\r\n", NULL, NULL },
	{ "9112, 7.1", "0000000000000003\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "10000000000000003\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "3\nabc\r\n0\r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "3\r\nabc\n0\r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "3\r\nabcd\r\n0\r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "3\rabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3;a\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3;a\rb\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3;\x01\r\n", NULL, NULL },
	{ "9112, 7.1", "0\r\n\n", NULL, NULL },
	{ "9112, 7.1", "0\r\n\rx", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA\r\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA : b\r\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\n b\r\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\n: b\r\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA: b\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA: \x7f\r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "\t3\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "3\r\nabc\r\n0 \r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "3\r\nabc\r\n\r\n0\r\n\r\n", NULL, NULL },
	{ "9112, 7.1", "3_0\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1", "\xef\xbc\x93\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3 ;x\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.1", "3;a=\x7f\r\nabc\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA: b\r\n c\r\n\r\n", NULL, NULL },
	{ "9112, 7.1.2", "0\r\nA: b\rC: d\r\n\r\n", NULL, NULL },
};

static char window_data[4096];

static void window_put(struct http_window *window, const char *data, size_t len)
{
	ck_assert_uint_le(len, http_window_space(window));
	memcpy(window->data + window->end, data, len);
	window->end += (uint32_t)len;
}

static struct http_window window_make(void)
{
	struct http_window window = { .data = window_data, .room = sizeof(window_data) };

	http_window_reset(&window);
	return window;
}

struct result {
	char data[4096];
	size_t len;
	size_t rest; /* bytes behind the end */
	bool refused;
	bool done;
};

/* Pass DATA through in two parts, cut at CUT. */
static struct result pass(const char *data, size_t cut, enum http_body from, enum http_coding to)
{
	struct result result = { .len = 0 };
	struct http_window window = window_make();
	struct http_transfer transfer;
	size_t len = strlen(data);

	http_transfer_init(&transfer, from, 0, to);
	for (int part = 0; part < 2; part++) {
		window_put(&window, part ? data + cut : data, part ? len - cut : cut);
		if (http_transfer_take(&transfer, &window) < 0) {
			result.refused = true;
			return result;
		}
		memcpy(result.data + result.len, window.data + window.at, window.ready - window.at);
		result.len += window.ready - window.at;
		window.at = window.ready;
		result.rest = window.end - window.ready;
		if (!result.rest)
			http_window_reset(&window);
	}
	result.done = transfer.done;
	return result;
}

START_TEST(test_every_split)
{
	const char *data = rows[_i].data;

	for (size_t cut = 0; cut <= strlen(data); cut++) {
		struct result plain = pass(data, cut, HTTP_BODY_CHUNKED, HTTP_CODING_PLAIN);

		ck_assert_msg(plain.refused == !rows[_i].decoded, "RFC %s: %s at %zu", rows[_i].rfc,
			data, cut);
		if (plain.refused)
			continue;
		ck_assert(plain.done);
		ck_assert_uint_eq(plain.len, strlen(rows[_i].decoded));
		ck_assert_int_eq(memcmp(plain.data, rows[_i].decoded, plain.len), 0);
		ck_assert_uint_eq(plain.rest, strlen(rows[_i].rest));
	}
}
END_TEST

/* What is chunked anew decodes to the same. */
START_TEST(test_chunked_anew)
{
	const char *data = rows[_i].data;

	for (size_t cut = 0; cut <= strlen(data) && rows[_i].decoded; cut++) {
		struct result once = pass(data, cut, HTTP_BODY_CHUNKED, HTTP_CODING_CHUNKED);
		struct result twice;

		ck_assert(!once.refused && once.done);
		ck_assert_uint_eq(once.rest, strlen(rows[_i].rest));
		once.data[once.len] = '\0';
		twice = pass(once.data, once.len / 2, HTTP_BODY_CHUNKED, HTTP_CODING_PLAIN);
		ck_assert(!twice.refused && twice.done);
		ck_assert_uint_eq(twice.len, strlen(rows[_i].decoded));
		ck_assert_int_eq(memcmp(twice.data, rows[_i].decoded, twice.len), 0);
	}
}
END_TEST

START_TEST(test_bounds)
{
	struct http_chunk chunk;
	size_t data_bytes;
	char line[HTTP_CHUNK_LINE_MAX + 8];
	int64_t result = 0;

	memset(line, 'x', sizeof(line));
	memcpy(line, "1;", 2);
	http_chunk_init(&chunk);
	ck_assert_int_eq(http_chunk_next(&chunk, line, sizeof(line), &data_bytes), -1);
	ck_assert_int_eq(http_chunk_next(&chunk, "\r\n", 2, &data_bytes), -1);

	http_chunk_init(&chunk);
	ck_assert_int_eq(http_chunk_next(&chunk, "0\r\n", 3, &data_bytes), 3);
	for (int i = 0; i < HTTP_CHUNK_TRAILER_MAX / 6 + 2 && result >= 0; i++)
		result = http_chunk_next(&chunk, "A: b\r\n", 6, &data_bytes);
	ck_assert_int_eq(result, -1);
}
END_TEST

START_TEST(test_length)
{
	struct http_window window = window_make();
	struct http_transfer transfer;

	http_transfer_init(&transfer, HTTP_BODY_LENGTH, 5, HTTP_CODING_PLAIN);
	window_put(&window, "abc", 3);
	ck_assert_int_eq(http_transfer_take(&transfer, &window), 0);
	ck_assert(!transfer.done && window.ready == window.end);
	ck_assert_int_eq(http_transfer_eof(&transfer, &window), -1);
	window.at = window.ready;
	window_put(&window, "deNEXT", 6);
	ck_assert_int_eq(http_transfer_take(&transfer, &window), 0);
	ck_assert(transfer.done && transfer.bytes == 5);
	ck_assert_uint_eq(window.end - window.ready, 4);
	ck_assert_int_eq(memcmp(window.data + window.ready, "NEXT", 4), 0);
	ck_assert_int_eq(http_transfer_eof(&transfer, &window), 0);

	http_transfer_init(&transfer, HTTP_BODY_LENGTH, 0, HTTP_CODING_PLAIN);
	ck_assert(transfer.done);
	http_transfer_init(&transfer, HTTP_BODY_NONE, 7, HTTP_CODING_PLAIN);
	ck_assert(transfer.done);
}
END_TEST

START_TEST(test_until_close)
{
	struct http_window window = window_make();
	struct http_transfer transfer;

	http_transfer_init(&transfer, HTTP_BODY_UNTIL_CLOSE, 0, HTTP_CODING_CHUNKED);
	window_put(&window, "0123456789abcdefg", 17);
	ck_assert_int_eq(http_transfer_take(&transfer, &window), 0);
	ck_assert_uint_eq(window.ready - window.at, 17 + 6);
	ck_assert_int_eq(memcmp(window.data + window.at, "11\r\n0123456789abcdefg\r\n", 23), 0);
	http_window_reset(&window);
	ck_assert_int_eq(http_transfer_eof(&transfer, &window), 0);
	ck_assert(transfer.done);
	ck_assert_int_eq(memcmp(window.data + window.at, "0\r\n\r\n", window.ready - window.at), 0);
}
END_TEST

/* The largest read that a window has room for still leaves room for the framing. */
START_TEST(test_full_window)
{
	struct http_window window = { .data = malloc(256), .room = 256 };
	struct http_transfer transfer;
	size_t space;

	http_window_reset(&window);
	space = http_window_space(&window);
	memset(window.data + window.end, 'x', space);
	memcpy(window.data + window.end, "b0\r\n", 4);
	memcpy(window.data + window.end + 4 + 0xb0, "\r\n0\r\n\r\nNEXT OF 32 BYTES", 24);
	window.end += (uint32_t)space;
	http_transfer_init(&transfer, HTTP_BODY_CHUNKED, 0, HTTP_CODING_CHUNKED);
	ck_assert_int_eq(http_transfer_take(&transfer, &window), 0);
	ck_assert(transfer.done);
	ck_assert_uint_le(window.end, window.room);
	ck_assert_uint_eq(window.end - window.ready, space - 4 - 0xb0 - 7);
	ck_assert_int_eq(memcmp(window.data + window.ready, "NEXT", 4), 0);
	free(window.data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_chunk");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, test_every_split, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_loop_test(tests, test_chunked_anew, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tests, test_bounds);
	tcase_add_test(tests, test_length);
	tcase_add_test(tests, test_until_close);
	tcase_add_test(tests, test_full_window);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
