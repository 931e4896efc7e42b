/* Lines of access logs: both forms, and that nothing a client sends gets out of its field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access_line.h"
#include "check_often.h"

#define TEXT(string)                                                                               \
	{                                                                                          \
		string, sizeof(string) - 1                                                         \
	}

static char out[ACCESS_LINE_MAX];

static struct access_line sample(void)
{
	return (struct access_line){
		.time_ms = INT64_C(1795199273123), /* 2026-11-20T18:27:53.123Z */
		.client = TEXT("192.0.2.7"),
		.method = TEXT("GET"),
		.target = TEXT("/x?y=1"),
		.minor = 1,
		.status = 200,
		.bytes_sent = 612,
		.body_bytes_sent = 512,
		.bytes_received = 99,
		.duration_us = 12345,
		.upstream_us = 7,
		.host = TEXT("alice.notes.localhost:8080"),
		.route = TEXT("alice.notes.localhost"),
		.user_agent = TEXT("curl/8.5"),
		.request_id = TEXT("abc"),
		.tenant = "notes:alice",
		.complete = true,
	};
}

START_TEST(test_json)
{
	struct access_line line = sample();
	size_t len = access_line_format(out, ACCESS_JSON, &line);

	ck_assert_str_eq(out,
		"{\"time\":\"2026-11-20T18:27:53.123Z\",\"client\":\"192.0.2.7\",\"method\":"
		"\"GET\","
		"\"target\":\"/x?y=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_sent\":612,"
		"\"body_bytes_sent\":512,\"bytes_received\":99,\"duration_ms\":12.345,"
		"\"upstream_ms\":0.007,\"host\":\"alice.notes.localhost:8080\",\"referer\":null,"
		"\"user_agent\":\"curl/8.5\",\"request_id\":\"abc\",\"tenant\":\"notes:alice\","
		"\"route\":\"alice.notes.localhost\",\"upgraded\":false,\"complete\":true,"
		"\"refused\":null}");
	ck_assert_uint_eq(len, strlen(out));
}
END_TEST

START_TEST(test_json_of_a_refusal)
{
	struct access_line line = sample();

	line.upstream_us = 0;
	line.status = 503;
	line.refused = "wake_queue";
	line.complete = false;
	line.upgraded = true;
	line.minor = 0;
	access_line_format(out, ACCESS_JSON, &line);
	ck_assert_ptr_nonnull(strstr(out, "\"upstream_ms\":null,"));
	ck_assert_ptr_nonnull(strstr(out, "\"protocol\":\"HTTP/1.0\",\"status\":503,"));
	ck_assert_ptr_nonnull(
		strstr(out, "\"upgraded\":true,\"complete\":false,\"refused\":\"wake_queue\"}"));
}
END_TEST

START_TEST(test_combined)
{
	struct access_line line = sample();
	size_t len = access_line_format(out, ACCESS_COMBINED, &line);

	ck_assert_str_eq(out,
		"192.0.2.7 - - [20/Nov/2026:18:27:53 +0000] \"GET /x?y=1 HTTP/1.1\" 200 "
		"512 \"-\" \"curl/8.5\"");
	ck_assert_uint_eq(len, strlen(out));
	line.referer = (struct http_text)TEXT("http://a.test/");
	line.user_agent = (struct http_text){ 0 };
	access_line_format(out, ACCESS_COMBINED, &line);
	ck_assert_str_eq(out,
		"192.0.2.7 - - [20/Nov/2026:18:27:53 +0000] \"GET /x?y=1 HTTP/1.1\" 200 "
		"512 \"http://a.test/\" \"-\"");
}
END_TEST

static const struct {
	struct http_text text;
	const char *json, *combined;
} escapes[] = {
	{ TEXT("plain /~!'"), "plain /~!'", "plain /~!'" },
	{ TEXT("a\"b\\c"), "a\\\"b\\\\c", "a\\x22b\\x5Cc" },
	{ TEXT("\n\r\t\0\x1f\x7f"), "\\u000a\\u000d\\u0009\\u0000\\u001f\\u007f",
		"\\x0A\\x0D\\x09\\x00\\x1F\\x7F" },
	{ TEXT("\xc3\xa9"), "\xc3\xa9", "\\xC3\\xA9" },
	{ TEXT("\xe2\x82\xac\xf0\x9f\x98\x80"), "\xe2\x82\xac\xf0\x9f\x98\x80",
		"\\xE2\\x82\\xAC\\xF0\\x9F\\x98\\x80" },
	{ TEXT("\xc2\x9b"), "\\u00c2\\u009b", "\\xC2\\x9B" }, /* CSI */
	{ TEXT("\xc2\xa0"), "\xc2\xa0", "\\xC2\\xA0" },
	{ TEXT("\xff"), "\\u00ff", "\\xFF" },
	{ TEXT("\xc3"), "\\u00c3", "\\xC3" }, /* cut off */
	{ TEXT("\xc3x"), "\\u00c3x", "\\xC3x" },
	{ TEXT("\xc0\xaf"), "\\u00c0\\u00af", "\\xC0\\xAF" },                 /* overlong */
	{ TEXT("\xe0\x80\xaf"), "\\u00e0\\u0080\\u00af", "\\xE0\\x80\\xAF" }, /* overlong */
	{ TEXT("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080", "\\xED\\xA0\\x80" }, /* a surrogate */
	{ TEXT("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080",
		"\\xF4\\x90\\x80\\x80" }, /* beyond the last */
	{ TEXT("\xe2\x82"), "\\u00e2\\u0082", "\\xE2\\x82" },
};

START_TEST(test_escapes)
{
	struct access_line line = sample();
	char wanted[256];

	line.user_agent = escapes[_i].text;
	access_line_format(out, ACCESS_JSON, &line);
	snprintf(wanted, sizeof(wanted), "\"user_agent\":\"%s\",\"request_id\"", escapes[_i].json);
	ck_assert_msg(strstr(out, wanted) != NULL, "%s", out);
	access_line_format(out, ACCESS_COMBINED, &line);
	snprintf(wanted, sizeof(wanted), "\"-\" \"%s\"", escapes[_i].combined);
	ck_assert_msg(strstr(out, wanted) != NULL, "%s", out);
}
END_TEST

static const struct {
	struct http_text client;
	const char *combined;
} clients[] = {
	{ TEXT("2001:db8::1"), "2001:db8::1 - - [" },
	{ TEXT(""), "- - - [" },
	{ TEXT("a b\" c"), "a - - [" },
	{ TEXT("\"x\""), "\\x22x\\x22 - - [" },
	{ TEXT(" "), "- - - [" },
};

START_TEST(test_clients_that_are_no_address)
{
	struct access_line line = sample();

	line.client = clients[_i].client;
	access_line_format(out, ACCESS_COMBINED, &line);
	ck_assert_msg(
		strncmp(out, clients[_i].combined, strlen(clients[_i].combined)) == 0, "%s", out);
}
END_TEST

/* Every field as long as a head may have it, of bytes that take the most room. */
START_TEST(test_the_longest_line_fits)
{
	static char bytes[65536];
	struct http_text all = { bytes, sizeof(bytes) };
	struct access_line line = sample();

	memset(bytes, _i, sizeof(bytes));
	line.client = line.method = line.target = line.host = line.route = line.referer =
		line.user_agent = line.request_id = all;
	for (enum access_format format = ACCESS_JSON; format < ACCESS_FORMATS; format++) {
		size_t len = access_line_format(out, format, &line);

		ck_assert_uint_lt(len, ACCESS_LINE_MAX);
		ck_assert_uint_gt(len, 8000);
		ck_assert_uint_eq(len, strlen(out));
		ck_assert_int_eq(out[len - 1], format == ACCESS_JSON ? '}' : '"');
		for (size_t i = 0; i < len; i++)
			ck_assert((unsigned char)out[i] >= ' ' && out[i] != 0x7f);
		if (format == ACCESS_JSON)
			ck_assert_str_eq(
				out + len - strlen("\"refused\":null}"), "\"refused\":null}");
	}
}
END_TEST

START_TEST(test_a_cut_does_not_split_a_character)
{
	static char bytes[4001];
	struct access_line line = sample();

	for (size_t i = 0; i < 4000; i += 2)
		memcpy(bytes + i, "\xc3\xa9", 2);
	for (size_t shift = 0; shift < 2; shift++) {
		const char *end;

		line.user_agent = (struct http_text){ bytes + shift, 4000 - shift };
		access_line_format(out, ACCESS_JSON, &line);
		end = strstr(out, "\",\"request_id\"");
		ck_assert_ptr_nonnull(end);
		ck_assert_mem_eq(end - 2, "\xc3\xa9", 2);
	}
}
END_TEST

START_TEST(test_lost_lines)
{
	int64_t when = sample().time_ms;

	access_line_lost(out, ACCESS_JSON, when, 12, "No space left on device");
	ck_assert_str_eq(out, "{\"time\":\"2026-11-20T18:27:53.123Z\",\"lost\":12,"
			      "\"why\":\"No space left on device\"}");
	access_line_lost(out, ACCESS_COMBINED, when, 12, "No \"space\"");
	ck_assert_str_eq(out, "- - - [20/Nov/2026:18:27:53 +0000] \"-\" 0 0 \"-\" "
			      "\"tenement: 12 lines lost: No \\x22space\\x22\"");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access_line");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_json);
	tcase_add_test(tcase, test_json_of_a_refusal);
	tcase_add_test(tcase, test_combined);
	tcase_add_loop_test(tcase, test_escapes, 0, sizeof(escapes) / sizeof(escapes[0]));
	tcase_add_loop_test(
		tcase, test_clients_that_are_no_address, 0, sizeof(clients) / sizeof(clients[0]));
	tcase_add_loop_test(tcase, test_the_longest_line_fits, 33, 256);
	tcase_add_test(tcase, test_a_cut_does_not_split_a_character);
	tcase_add_test(tcase, test_lost_lines);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
