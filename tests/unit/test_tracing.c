/* traceparent, sampling, and spans on their way to tenement-tracer. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"
#include "trace_context.h"

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

START_TEST(what_is_a_parent)
{
	static const struct {
		const char *text;
		bool good, sampled;
	} cases[] = {
		{ GOOD, true, true },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true, false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe", true, false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true, true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true, true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true, true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more", false, false },
		{ GOOD "-more", false, false },
		{ "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false },
		{ "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, false },
		{ "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false, false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", false, false },
		{ "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false },
		{ "", false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trace_context context;
		char text[TRACE_PARENT_LEN + 1];
		bool good = trace_context_parse(cases[i].text, strlen(cases[i].text), &context);

		ck_assert_msg(good == cases[i].good, "%s", cases[i].text);
		if (!good)
			continue;
		ck_assert_int_eq(context.sampled, cases[i].sampled);
		trace_context_format(&context, text);
		ck_assert_uint_eq(strlen(text), TRACE_PARENT_LEN);
		ck_assert_int_eq(strncmp(text + 3, cases[i].text + 3, 49), 0);
		ck_assert_int_eq(strncmp(text, "00-", 3), 0);
		ck_assert_str_eq(text + 52, cases[i].sampled ? "-01" : "-00");
	}
}
END_TEST

/* By the lower 63 bits alone; all and none are exact. */
START_TEST(what_is_sampled)
{
	uint8_t trace[16] = { 0 };
	unsigned sampled = 0;

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t bits = (uint64_t)i * (UINT64_MAX / 10000);

		for (int byte = 0; byte < 8; byte++)
			trace[8 + byte] = (uint8_t)(bits >> (56 - 8 * byte));
		trace[0] = (uint8_t)i;
		ck_assert(trace_is_sampled(trace, 100));
		ck_assert(!trace_is_sampled(trace, 0));
		sampled += trace_is_sampled(trace, 25);
	}
	ck_assert_uint_ge(sampled, 2490);
	ck_assert_uint_le(sampled, 2510);
}
END_TEST

static struct http_text text_of(const char *text)
{
	return (struct http_text){ text, strlen(text) };
}

static void ck_assert_text(struct http_text text, const char *wanted)
{
	ck_assert_uint_eq(text.len, strlen(wanted));
	ck_assert_int_eq(memcmp(text.data, wanted, text.len), 0);
}

START_TEST(spans_come_as_they_went)
{
	struct span span = { .trace = { 1, 2 },
		.id = { 3 },
		.parent = { 4 },
		.began_ns = 5,
		.took_us = 6,
		.wait_from_us = 7,
		.wait_until_us = 8,
		.queue_from_us = 9,
		.queue_until_us = 10,
		.answer_us = 11,
		.status = 502,
		.minor = 1,
		.upgraded = 1,
		.method = text_of("GET"),
		.path = text_of("/a"),
		.host = text_of("h:1"),
		.client = text_of("::1"),
		.tenant = text_of("notes:alice") };
	struct span got;
	char batch[2048], large[SPAN_TEXT_MAX + 9];
	size_t len = 0, at = 0, whole;

	ck_assert(span_add(batch, sizeof(batch), &len, &span));
	whole = len;
	memset(large, 'x', sizeof(large));
	span.path = (struct http_text){ large, sizeof(large) };
	ck_assert(span_add(batch, sizeof(batch), &len, &span));
	ck_assert(!span_add(batch, sizeof(batch), &len, &span));
	ck_assert(span_next(batch, len, &at, &got));
	ck_assert_uint_eq(at, whole);
	ck_assert_mem_eq(got.trace, span.trace, sizeof(got.trace));
	ck_assert_mem_eq(got.id, span.id, sizeof(got.id));
	ck_assert_mem_eq(got.parent, span.parent, sizeof(got.parent));
	ck_assert_uint_eq(got.began_ns, 5);
	ck_assert_uint_eq(got.took_us, 6);
	ck_assert_uint_eq(got.wait_from_us + got.wait_until_us, 15);
	ck_assert_uint_eq(got.queue_from_us + got.queue_until_us, 19);
	ck_assert_uint_eq(got.answer_us, 11);
	ck_assert_uint_eq(got.status, 502);
	ck_assert_uint_eq(got.minor + got.upgraded, 2);
	ck_assert_text(got.method, "GET");
	ck_assert_text(got.path, "/a");
	ck_assert_text(got.host, "h:1");
	ck_assert_text(got.client, "::1");
	ck_assert_text(got.tenant, "notes:alice");
	ck_assert_uint_eq(got.refused.len, 0);
	ck_assert(span_next(batch, len, &at, &got));
	ck_assert_uint_eq(got.path.len, SPAN_TEXT_MAX);
	ck_assert_uint_eq(at, len);
	ck_assert(!span_next(batch, len, &at, &got));
	/* What is cut, or of another version, is none. */
	for (size_t cut = 1; cut < whole; cut++) {
		at = 0;
		ck_assert(!span_next(batch, cut, &at, &got));
		ck_assert_uint_eq(at, 0);
	}
	batch[0]++;
	ck_assert(!span_next(batch, len, &at, &got));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracing");
	TCase *tests = tcase_create("tracing");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, what_is_a_parent);
	tcase_add_test(tests, what_is_sampled);
	tcase_add_test(tests, spans_come_as_they_went);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
