#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "sse.h"

static void note(void *data, const struct sse_event *event)
{
	text_printf(data, "[%s|%s|%s]", event->event, event->id, event->data);
	ck_assert_uint_eq(event->len, strlen(event->data));
}

static const struct {
	const char *event, *id, *data, *stream;
} written[] = {
	{ NULL, NULL, "{}", "data: {}\n\n" },
	{ "state", "7", "{}", "event: state\nid: 7\ndata: {}\n\n" },
	{ NULL, NULL, "", "data: \n\n" },
	{ NULL, NULL, "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n" },
	{ NULL, NULL, "a\n", "data: a\ndata: \n\n" },
};

START_TEST(write)
{
	autotext struct text out = { 0 };

	sse_put(&out, written[_i].event, written[_i].id, written[_i].data,
		strlen(written[_i].data));
	ck_assert_str_eq(out.data, written[_i].stream);
}
END_TEST

static const struct {
	const char *stream, *events;
} streams[] = {
	{ "", "" },
	{ "data: {}\n\n", "[message||{}]" },
	{ "data: {}\n", "" }, /* not whole */
	{ "event: state\nid: 7\ndata: {}\n\ndata: x\n\n", "[state|7|{}][message|7|x]" },
	{ "data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message||a][message||b][message||c]" },
	{ "data: a\ndata: b\n\n", "[message||a\nb]" },
	{ "data\n\n", "[message||]" },
	{ "data\ndata\n\n", "[message||\n]" },
	{ "data:a\ndata:  b\n\n", "[message||a\n b]" },
	{ ":\n\n: a comment\ndata: a\n\n", "[message||a]" },
	{ "event: state\n\ndata: a\n\n", "[message||a]" }, /* without data there is none */
	{ "retry: 10\nbanana: 1\ndata: a\n\n", "[message||a]" },
	{ "\xef\xbb\xbf"
	  "data: a\n\n",
		"[message||a]" },
	{ "id: 7\nid\ndata: a\n\n", "[message||a]" },
};

/* Split at every place, and byte by byte. */
START_TEST(read_back)
{
	const char *stream = streams[_i].stream;
	size_t len = strlen(stream);

	for (size_t split = 0; split <= len; split++) {
		struct sse_reader reader = { 0 };
		autotext struct text seen = { 0 };

		text_puts(&seen, "");
		ck_assert(sse_read(&reader, stream, split, note, &seen));
		ck_assert(sse_read(&reader, stream + split, len - split, note, &seen));
		ck_assert_str_eq(seen.data, streams[_i].events);
		sse_reader_free(&reader);
	}
	{
		struct sse_reader reader = { 0 };
		autotext struct text seen = { 0 };

		text_puts(&seen, "");
		for (size_t i = 0; i < len; i++)
			ck_assert(sse_read(&reader, stream + i, 1, note, &seen));
		ck_assert_str_eq(seen.data, streams[_i].events);
		sse_reader_free(&reader);
	}
}
END_TEST

START_TEST(too_long)
{
	autofree char *much = mem_alloc(SSE_EVENT_MAX);
	struct sse_reader reader = { 0 };
	autotext struct text seen = { 0 };

	memset(much, 'a', SSE_EVENT_MAX);
	ck_assert(sse_read(&reader, "data: a\n", 8, note, &seen));
	ck_assert(!sse_read(&reader, much, SSE_EVENT_MAX, note, &seen) ||
		  !sse_read(&reader, "a", 1, note, &seen));
	sse_reader_free(&reader);
	for (int i = 0; i < 1024; i++) {
		ck_assert(sse_read(&reader, "data: ", 6, note, &seen));
		if (!sse_read(&reader, much, 1024, note, &seen) ||
			!sse_read(&reader, "\n", 1, note, &seen)) {
			ck_assert_int_gt(i, 1000);
			sse_reader_free(&reader);
			return;
		}
	}
	ck_abort_msg("an event of any size was taken");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sse");
	TCase *tests = tcase_create("sse");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, write, 0, sizeof(written) / sizeof(written[0]));
	tcase_add_loop_test(tests, read_back, 0, sizeof(streams) / sizeof(streams[0]));
	tcase_add_test(tests, too_long);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
