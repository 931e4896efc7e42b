#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "log_line.h"
#include "mem.h"

/* What came out, one message per line: "+" before one that goes on, "=" before one that is whole.
 */
static void collect(void *data, const char *message, size_t len, bool unfinished)
{
	struct text *out = data;

	ck_assert_uint_le(len, LOG_LINE_MESSAGE_MAX);
	text_puts(out, unfinished ? "+" : "=");
	text_add(out, message, len);
	text_puts(out, "\n");
}

struct cut_case {
	const char *name;
	const char *bytes;
	size_t len;
	const char *expected;
};

#define CUT(name, bytes, expected)                                                                 \
	{                                                                                          \
		name, bytes, sizeof(bytes) - 1, expected                                           \
	}

static const struct cut_case cut_cases[] = {
	CUT("nothing", "", ""),
	CUT("a line", "hello\n", "=hello\n"),
	CUT("two lines", "a\nb\n", "=a\n=b\n"),
	CUT("empty lines", "\n\n", "=\n=\n"),
	CUT("no newline at the end", "a\nb", "=a\n=b\n"),
	CUT("carriage return and newline", "a\r\nb\r\n", "=a\n=b\n"),
	CUT("two carriage returns", "a\r\r\n", "=a\\x0d\n"),
	CUT("carriage return inside", "10%\r20%\n", "=10%\\x0d20%\n"),
	CUT("carriage return at the end", "a\r", "=a\\x0d\n"),
	CUT("tab stays", "a\tb\n", "=a\tb\n"),
	CUT("backslash stays", "{\"a\":\"\\n\"}\n", "={\"a\":\"\\n\"}\n"),
	CUT("NUL", "a\0b\n", "=a\\x00b\n"),
	CUT("escape sequence", "\033[2J\n", "=\\x1b[2J\n"),
	CUT("DEL", "\x7f\n", "=\\x7f\n"),
	CUT("two bytes", "gr\xc3\xbc\xc3\x9f\n", "=gr\xc3\xbc\xc3\x9f\n"),
	CUT("three and four bytes", "\xe2\x82\xac \xf0\x9f\x8f\xa0\n",
		"=\xe2\x82\xac \xf0\x9f\x8f\xa0\n"),
	CUT("C1 control",
		"\xc2\x9b"
		"2J\n",
		"=\\xc2\\x9b2J\n"),
	CUT("first after C1", "\xc2\xa0\n", "=\xc2\xa0\n"),
	CUT("lone continuation",
		"\x80"
		"a\n",
		"=\\x80a\n"),
	CUT("cut character",
		"\xe2\x82"
		"a\n",
		"=\\xe2\\x82a\n"),
	CUT("cut character before a newline", "\xe2\x82\n", "=\\xe2\\x82\n"),
	CUT("cut character at the end", "\xf0\x9f\x8f", "=\\xf0\\x9f\\x8f\n"),
	CUT("character after a cut one", "\xe2\xc3\xbc\n", "=\\xe2\xc3\xbc\n"),
	CUT("overlong", "\xc0\xaf \xe0\x80\xaf\n", "=\\xc0\\xaf \\xe0\\x80\\xaf\n"),
	CUT("surrogate", "\xed\xa0\x80\n", "=\\xed\\xa0\\x80\n"),
	CUT("last character", "\xf4\x8f\xbf\xbf\n", "=\xf4\x8f\xbf\xbf\n"),
	CUT("beyond the last", "\xf4\x90\x80\x80 \xf5\n", "=\\xf4\\x90\\x80\\x80 \\xf5\n"),
};

START_TEST(cuts_at_once_and_byte_by_byte)
{
	const struct cut_case *c = &cut_cases[_i];

	/* Every place where the reading could have been interrupted. */
	for (size_t split = 0; split <= c->len; split++) {
		struct log_line_cutter cutter = { 0 };
		autotext struct text out = { 0 };

		log_line_cut(&cutter, c->bytes, split, collect, &out);
		log_line_cut(&cutter, c->bytes + split, c->len - split, collect, &out);
		log_line_cut_end(&cutter, false, collect, &out);
		ck_assert_msg(strcmp(out.data ? out.data : "", c->expected) == 0,
			"%s, split at %zu: %s", c->name, split, out.data);
		ck_assert_ptr_null(cutter.message);
	}
}
END_TEST

/* COUNT times UNIT, in pieces of PIECE bytes, then a newline. */
static void cut_long(const char *unit, size_t count, size_t piece, struct text *out)
{
	struct log_line_cutter cutter = { 0 };
	autotext struct text in = { 0 };

	for (size_t i = 0; i < count; i++)
		text_puts(&in, unit);
	text_puts(&in, "\n");
	for (size_t at = 0; at < in.len; at += piece)
		log_line_cut(&cutter, in.data + at, in.len - at < piece ? in.len - at : piece,
			collect, out);
	ck_assert_ptr_null(cutter.message);
	log_line_cut_end(&cutter, false, collect, out);
}

/* The lengths of the messages in OUT, without their marks. */
static size_t message_length(const struct text *out, size_t index)
{
	const char *at = out->data;

	for (size_t i = 0; i < index; i++)
		at = strchr(at, '\n') + 1;
	return strcspn(at, "\n") - 1;
}

START_TEST(cuts_what_is_too_long)
{
	static const size_t pieces[] = { 1, 7, 4096, 1u << 20 };
	autotext struct text full = { 0 };
	autotext struct text over = { 0 };
	autotext struct text wide = { 0 };
	autotext struct text binary = { 0 };

	cut_long("x", LOG_LINE_MESSAGE_MAX, pieces[_i], &full);
	ck_assert_int_eq(full.data[0], '=');
	ck_assert_uint_eq(message_length(&full, 0), LOG_LINE_MESSAGE_MAX);
	ck_assert_uint_eq(full.len, LOG_LINE_MESSAGE_MAX + 2);

	cut_long("x", LOG_LINE_MESSAGE_MAX + 1, pieces[_i], &over);
	ck_assert_int_eq(over.data[0], '+');
	ck_assert_uint_eq(message_length(&over, 0), LOG_LINE_MESSAGE_MAX);
	ck_assert_str_eq(strchr(over.data, '\n'), "\n=x\n");

	/* A character is never cut in two: 8192 is no multiple of 3. */
	cut_long("\xe2\x82\xac", 3000, pieces[_i], &wide);
	ck_assert_uint_eq(message_length(&wide, 0), LOG_LINE_MESSAGE_MAX - 2);
	ck_assert_uint_eq(message_length(&wide, 1), 3000 * 3 - (LOG_LINE_MESSAGE_MAX - 2));

	/* Nor is an escape. */
	cut_long("\x01", 3000, pieces[_i], &binary);
	ck_assert_uint_eq(message_length(&binary, 0), LOG_LINE_MESSAGE_MAX);
	ck_assert_uint_eq(message_length(&binary, 1), 3000 * 4 - LOG_LINE_MESSAGE_MAX);
}
END_TEST

START_TEST(hands_an_unfinished_line_on)
{
	struct log_line_cutter cutter = { 0 };
	autotext struct text out = { 0 };

	log_line_cut(&cutter, "half a li", 9, collect, &out);
	ck_assert_uint_eq(out.len, 0);
	log_line_cut_end(&cutter, true, collect, &out);
	ck_assert_str_eq(out.data, "+half a li\n");
	ck_assert_ptr_null(cutter.message);
	log_line_cut_end(&cutter, true, collect, &out);
	ck_assert_str_eq(out.data, "+half a li\n");
}
END_TEST

START_TEST(tells_the_time)
{
	static const struct {
		int64_t time_ms;
		const char *expected;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -5, "1970-01-01T00:00:00.000Z" },
		{ INT64_C(1795199273123), "2026-11-20T18:27:53.123Z" },
		{ INT64_C(1709164800007), "2024-02-29T00:00:00.007Z" },
		{ INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[LOG_LINE_TIME_SIZE];

		log_line_time(out, cases[i].time_ms);
		ck_assert_str_eq(out, cases[i].expected);
	}
}
END_TEST

START_TEST(reads_back_what_it_wrote)
{
	static const struct log_line lines[] = {
		{ INT64_C(1795199273123), LOG_LINE_STDOUT, false, "hello world", 11 },
		{ 0, LOG_LINE_STDERR, true, "", 0 },
		{ 999, LOG_LINE_TENEMENT, false, " two  spaces ", 13 },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		autotext struct text out = { 0 };
		struct log_line back;

		log_line_format(&out, &lines[i]);
		ck_assert_int_eq(out.data[out.len - 1], '\n');
		ck_assert(log_line_parse(out.data, out.len - 1, &back));
		ck_assert_int_eq(back.time_ms, lines[i].time_ms);
		ck_assert_int_eq(back.stream, lines[i].stream);
		ck_assert_int_eq(back.unfinished, lines[i].unfinished);
		ck_assert_uint_eq(back.len, lines[i].len);
		ck_assert_mem_eq(back.message, lines[i].message, back.len);
	}
}
END_TEST

START_TEST(formats_as_documented)
{
	const struct log_line line = { INT64_C(1795199273123), LOG_LINE_STDOUT, false, "message",
		7 };
	autotext struct text out = { 0 };

	log_line_format(&out, &line);
	ck_assert_str_eq(out.data, "2026-11-20T18:27:53.123Z stdout message\n");
}
END_TEST

START_TEST(refuses_what_is_no_line)
{
	static const char *const wrong[] = {
		"",
		"hello",
		"2026-11-20T18:27:53.123Z",
		"2026-11-20T18:27:53.123Z ",
		"2026-11-20T18:27:53.123Z stdout",
		"2026-11-20T18:27:53.123Z  message",
		"2026-11-20T18:27:53.123Z + message",
		"2026-11-20T18:27:53.123Z stdin message",
		"2026-11-20T18:27:53.123Z stdout++ message",
		"2026-11-20 18:27:53.123Z stdout message",
		"2026-13-20T18:27:53.123Z stdout message",
		"2026-00-20T18:27:53.123Z stdout message",
		"2026-11-20T24:27:53.123Z stdout message",
		"2026-11-20T18:27:53.1x3Z stdout message",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		size_t len = strlen(wrong[i]);
		/* Without a NUL after it, so that a sanitizer sees what reads too far. */
		autofree char *exact = malloc(len ? len : 1);
		struct log_line line;

		memcpy(exact, wrong[i], len);
		ck_assert_msg(!log_line_parse(exact, len, &line), "\"%s\" was taken", wrong[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_line");
	TCase *cutting = tcase_create("cutting");
	TCase *writing = tcase_create("writing");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(cutting, cuts_at_once_and_byte_by_byte, 0,
		sizeof(cut_cases) / sizeof(cut_cases[0]));
	tcase_add_loop_test(cutting, cuts_what_is_too_long, 0, 4);
	tcase_add_test(cutting, hands_an_unfinished_line_on);
	tcase_add_test(writing, tells_the_time);
	tcase_add_test(writing, reads_back_what_it_wrote);
	tcase_add_test(writing, formats_as_documented);
	tcase_add_test(writing, refuses_what_is_no_line);
	suite_add_tcase(suite, cutting);
	suite_add_tcase(suite, writing);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
