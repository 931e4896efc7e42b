/* The text of GET /metrics, in both formats. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

static struct text text, labels;
static struct metrics_out out;

static void begin(enum metrics_format format)
{
	text_free(&text);
	text_free(&labels);
	out = (struct metrics_out){ &text, format, METRIC_NONE };
}

static void teardown(void)
{
	text_free(&text);
	text_free(&labels);
}

START_TEST(a_counter)
{
	begin(METRICS_TEXT);
	metrics_begin(&out, METRIC_PROXY_REQUESTS);
	metrics_put(&out, "", UINT64_MAX);
	metrics_end(&out);
	ck_assert_str_eq(text.data,
		"# HELP tenement_proxy_requests_total Requests that were read.\n"
		"# TYPE tenement_proxy_requests_total counter\n"
		"tenement_proxy_requests_total 18446744073709551615\n");
	begin(METRICS_OPEN);
	metrics_begin(&out, METRIC_PROXY_REQUESTS);
	metrics_put(&out, "", 0);
	metrics_end(&out);
	ck_assert_str_eq(text.data, "# TYPE tenement_proxy_requests counter\n"
				    "# HELP tenement_proxy_requests Requests that were read.\n"
				    "tenement_proxy_requests_total 0\n"
				    "# EOF\n");
}
END_TEST

START_TEST(a_unit_and_information)
{
	begin(METRICS_OPEN);
	metrics_begin(&out, METRIC_PROCESS_START);
	metrics_put_seconds(&out, "program=\"keeper\"", 1.5);
	ck_assert_ptr_nonnull(
		strstr(text.data, "\n# UNIT tenement_process_start_time_seconds seconds\n"));
	ck_assert_ptr_nonnull(strstr(
		text.data, "\ntenement_process_start_time_seconds{program=\"keeper\"} 1.500000\n"));
	begin(METRICS_OPEN);
	metrics_begin(&out, METRIC_BUILD);
	metrics_put_with(&out, "", "version", "1", 1);
	ck_assert_ptr_eq(strstr(text.data, "# TYPE tenement_build info\n"), text.data);
	ck_assert_ptr_nonnull(strstr(text.data, "\ntenement_build_info{version=\"1\"} 1\n"));
	begin(METRICS_TEXT);
	metrics_begin(&out, METRIC_BUILD);
	ck_assert_ptr_nonnull(strstr(text.data, "# TYPE tenement_build_info gauge\n"));
}
END_TEST

START_TEST(labels_are_escaped)
{
	begin(METRICS_TEXT);
	metrics_label(&labels, "service", "a\"b\\c\nd");
	metrics_label(&labels, "id", "");
	ck_assert_str_eq(labels.data, "service=\"a\\\"b\\\\c\\nd\",id=\"\"");
	metrics_begin(&out, METRIC_INSTANCE_STATE);
	text.len = 0;
	metrics_put_with(&out, labels.data, "state", "ready", 1);
	ck_assert_str_eq(text.data,
		"tenement_instance_state{service=\"a\\\"b\\\\c\\nd\",id=\"\",state=\"ready\"} 1\n");
}
END_TEST

START_TEST(a_histogram_is_cumulative)
{
	static const double bounds[] = { 0.0005, 1, 10 };
	static const uint64_t counts[] = { 1, 2, 0, 4 };

	for (int format = METRICS_TEXT; format <= METRICS_OPEN; format++) {
		begin((enum metrics_format)format);
		metrics_begin(&out, METRIC_RECONCILE);
		text.len = 0;
		metrics_put_histogram(
			&out, "", &(struct metrics_histogram){ bounds, counts, 3, 42.5 });
		ck_assert_str_eq(text.data,
			"tenement_reconcile_duration_seconds_bucket{le=\"0.0005\"} 1\n"
			"tenement_reconcile_duration_seconds_bucket{le=\"1.0\"} 3\n"
			"tenement_reconcile_duration_seconds_bucket{le=\"10.0\"} 3\n"
			"tenement_reconcile_duration_seconds_bucket{le=\"+Inf\"} 7\n"
			"tenement_reconcile_duration_seconds_sum 42.500000\n"
			"tenement_reconcile_duration_seconds_count 7\n");
	}
}
END_TEST

START_TEST(who_accepts_what)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} cases[] = {
		{ NULL, METRICS_TEXT },
		{ "", METRICS_TEXT },
		{ "*/*", METRICS_TEXT },
		{ "text/plain", METRICS_TEXT },
		{ "application/openmetrics-text", METRICS_OPEN },
		{ "Application/OpenMetrics-Text; version=1.0.0", METRICS_OPEN },
		{ "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
			METRICS_OPEN },
		{ "text/plain;q=0.5,application/openmetrics-text;q=0", METRICS_TEXT },
		{ "application/openmetrics-text;q=0.0, text/plain", METRICS_TEXT },
		{ "application/openmetrics-text, text/plain;q=0", METRICS_OPEN },
		{ "application/openmetrics-text;q=", METRICS_OPEN },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(metrics_format_wanted(cases[i].accept) == cases[i].format, "%s",
			cases[i].accept);
}
END_TEST

/* As the formats ask of names: what promtool would say of each that a test shows to it. */
START_TEST(the_table_is_sound)
{
	for (int i = 0; i < METRIC_NONE; i++) {
		const struct metric_row *row = &metric_rows[i];
		size_t len = strlen(row->name), unit = strlen(row->unit);

		ck_assert_int_eq(strncmp(row->name, "tenement_", 9), 0);
		ck_assert_uint_eq(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), len);
		ck_assert_ptr_null(strstr(row->name, "_total"));
		ck_assert_msg(
			!unit || strcmp(row->name + len - unit, row->unit) == 0, "%s", row->name);
		ck_assert_msg(
			strlen(row->help) > 10 && !strpbrk(row->help, "\n\\\""), "%s", row->name);
		ck_assert_msg((strstr(row->name, "_instance_") != NULL) ==
				      (strncmp(row->labels, "service, id", 11) == 0),
			"%s", row->name);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(row->name, metric_rows[j].name);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tests = tcase_create("metrics");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, a_counter);
	tcase_add_test(tests, a_unit_and_information);
	tcase_add_test(tests, labels_are_escaped);
	tcase_add_test(tests, a_histogram_is_cumulative);
	tcase_add_test(tests, who_accepts_what);
	tcase_add_test(tests, the_table_is_sound);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
