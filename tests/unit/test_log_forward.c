#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log_forward.h"

static const struct log_forward alice = { .service = "notes", .id = "alice" };

static const struct log_line line = {
	.time_ms = 1795200005123, /* 2026-11-20T18:40:05.123Z */
	.stream = LOG_LINE_STDERR,
	.message = "it = broke\tX",
	.len = 10, /* what follows is not of it */
};

START_TEST(for_journald)
{
	autotext struct text out = { 0 };
	const struct log_forward other = { .service = "n", .id = "a" };
	struct log_line part = line;

	log_forward_journald(&out, &alice, &line);
	ck_assert_str_eq(out.data,
		"MESSAGE=it = broke\nPRIORITY=3\nSYSLOG_FACILITY=3\n"
		"SYSLOG_IDENTIFIER=notes:alice\nTENEMENT_SERVICE=notes\nTENEMENT_ID=alice\n"
		"TENEMENT_STREAM=stderr\n");
	text_free(&out);
	part.stream = LOG_LINE_STDOUT;
	part.unfinished = true;
	part.len = 0;
	log_forward_journald(&out, &other, &part);
	ck_assert_str_eq(out.data,
		"MESSAGE=\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=n:a\n"
		"TENEMENT_SERVICE=n\nTENEMENT_ID=a\nTENEMENT_STREAM=stdout\n"
		"CONTAINER_PARTIAL_MESSAGE=true\n");
}
END_TEST

START_TEST(for_syslog)
{
	autotext struct text out = { 0 };
	struct log_line other = line;

	setenv("TZ", "UTC0", 1);
	tzset();
	log_forward_syslog(&out, &alice, &line);
	ck_assert_str_eq(out.data, "<27>Nov 20 18:40:05 notes/alice: it = broke");
	text_free(&out);
	other.stream = LOG_LINE_TENEMENT;
	other.time_ms -= INT64_C(12) * 86400 * 1000;
	log_forward_syslog(&out, &alice, &other);
	ck_assert_str_eq(out.data, "<28>Nov  8 18:40:05 notes/alice: it = broke");
	text_free(&out);
	other.stream = LOG_LINE_STDOUT;
	setenv("TZ", "XYZ-2", 1);
	tzset();
	log_forward_syslog(&out, &alice, &other);
	ck_assert_str_eq(out.data, "<30>Nov  8 20:40:05 notes/alice: it = broke");
}
END_TEST

static const struct {
	enum log_line_stream stream;
	const char *message, *beginning;
} levels[] = {
	{ LOG_LINE_STDOUT, "{\"level\":\"error\",\"msg\":\"x\"}", "<27>" },
	{ LOG_LINE_STDOUT, "{\"a\": 1, \"level\": \"WARN\"}", "<28>" },
	{ LOG_LINE_STDERR, "{\"level\": 20}", "<31>" },
	{ LOG_LINE_STDERR, "{\"level\": \"Fatal\"}", "<26>" },
	{ LOG_LINE_STDERR, "{\"level\": \"whatever\"}", "<27>" },
	{ LOG_LINE_STDOUT, "{\"level\": {\"error\": 1}}", "<30>" },
	{ LOG_LINE_STDOUT, "level error", "<30>" },
	{ LOG_LINE_TENEMENT, "{\"level\": \"debug\"}", "<28>" },
};

START_TEST(a_line_of_json_says_how_grave_it_is)
{
	const struct log_forward tenant = { .service = "notes", .id = "alice", .is_json = true };
	struct log_line said = { .stream = levels[_i].stream, .message = levels[_i].message };
	autotext struct text out = { 0 };

	said.len = strlen(said.message);
	log_forward_syslog(&out, &tenant, &said);
	ck_assert_msg(
		strncmp(out.data, levels[_i].beginning, 4) == 0, "%s: %s", said.message, out.data);
	text_free(&out);
	log_forward_syslog(&out, &alice, &said);
	ck_assert_msg(strncmp(out.data,
			      levels[_i].stream == LOG_LINE_STDOUT   ? "<30>"
			      : levels[_i].stream == LOG_LINE_STDERR ? "<27>"
								     : "<28>",
			      4) == 0,
		"%s: %s", said.message, out.data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_forward");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(all, for_journald);
	tcase_add_test(all, for_syslog);
	tcase_add_loop_test(
		all, a_line_of_json_says_how_grave_it_is, 0, sizeof(levels) / sizeof(*levels));
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
