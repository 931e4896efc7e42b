/* What was answered: classes, times, what dead workers and tenants that went leave. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"

#define SLOT 77

static struct board *board;
static int fd;
static struct ten_error err;

static void setup(void)
{
	ck_assert_msg(board_create(&board, &fd, &err) == 0, "%s", err.text);
	board_worker_enter(board, 0);
	board_worker_enter(board, 1);
}

static void teardown(void)
{
	board_close(board);
	close(fd);
}

static struct board_answered of(uint32_t slot)
{
	struct board_answered sum = { 0 };

	board_answered(board, slot, &sum);
	return sum;
}

START_TEST(classes_and_times)
{
	struct board_answers *answers = &board->answers[0][SLOT];
	struct board_answered sum;

	board_answers_count(answers, 101, 500);
	board_answers_count(answers, 204, 501);
	board_answers_count(answers, 200, 1000);
	board_answers_count(answers, 304, 60000000);
	board_answers_count(answers, 429, 60000001);
	board_answers_count(answers, 599, UINT32_MAX);
	board_answers_count(answers, 0, 7);
	board_answers_count(answers, 99, 7);
	board_answers_count(answers, 600, 7);
	sum = of(SLOT);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_1XX], 1);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_2XX], 2);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_3XX], 1);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_4XX], 1);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_5XX], 1);
	ck_assert_uint_eq(sum.codes[BOARD_CODE_NONE], 3);
	ck_assert_uint_eq(sum.times[0], 1);
	ck_assert_uint_eq(sum.times[1], 2);
	ck_assert_uint_eq(sum.times[BOARD_TIMES - 2], 1);
	ck_assert_uint_eq(sum.times[BOARD_TIMES - 1], 2);
	ck_assert_uint_eq(board_answered_count(&sum), 6);
	ck_assert_uint_eq(sum.took_us, 120002002ull + UINT32_MAX);
}
END_TEST

/* Whatever of it lies across the end of a page, too: that is one of 21 there. */
START_TEST(a_dead_workers_are_carried_over)
{
	for (uint32_t slot = 0; slot < 64; slot++)
		for (uint32_t i = 0; i <= slot; i++)
			board_answers_count(&board->answers[1][slot], 200, 100);
	board_answers_count(&board->answers[1][ROUTE_SLOTS_MAX - 1], 502, 100);
	board_answers_count(&board->answers[0][5], 404, 100);
	ck_assert_msg(board_worker_clear(board, fd, 1, &err) == 0, "%s", err.text);
	ck_assert_msg(board_worker_clear(board, fd, 1, &err) == 0, "%s", err.text);
	for (uint32_t slot = 0; slot < 64; slot++) {
		struct board_answered sum = of(slot);

		ck_assert_uint_eq(sum.codes[BOARD_CODE_2XX], slot + 1);
		ck_assert_uint_eq(sum.took_us, 100 * (slot + 1) + (slot == 5 ? 100 : 0));
	}
	ck_assert_uint_eq(of(5).codes[BOARD_CODE_4XX], 1);
	ck_assert_uint_eq(of(ROUTE_SLOTS_MAX - 1).codes[BOARD_CODE_5XX], 1);
	board_slot_clear(board, 5);
	ck_assert_uint_eq(board_answered_count(&(struct board_answered){ 0 }), 0);
	ck_assert_uint_eq(of(5).codes[BOARD_CODE_2XX] + of(5).codes[BOARD_CODE_4XX], 0);
	ck_assert_uint_eq(of(ROUTE_SLOTS_MAX).took_us + of(UINT32_MAX).took_us, 0);
}
END_TEST

START_TEST(quantiles)
{
	struct board_answered sum = { 0 };
	double first = board_time_bounds[0], last = board_time_bounds[BOARD_TIMES - 2];

	ck_assert_double_eq(board_answered_quantile(&sum, 0.5), -1);
	sum.times[0] = 2;
	ck_assert_double_eq_tol(board_answered_quantile(&sum, 0.5), first / 2, 1e-9);
	ck_assert_double_eq_tol(board_answered_quantile(&sum, 1), first, 1e-9);
	sum.times[2] = 2; /* none in the class between */
	ck_assert_double_eq_tol(board_answered_quantile(&sum, 0.5), first, 1e-9);
	ck_assert_double_eq_tol(board_answered_quantile(&sum, 0.75),
		(board_time_bounds[1] + board_time_bounds[2]) / 2, 1e-9);
	sum.times[BOARD_TIMES - 1] = 1000;
	ck_assert_double_eq(board_answered_quantile(&sum, 0.99), last);
}
END_TEST

static bool is_declared(void *data, const char *service)
{
	return strcmp(service, data) != 0;
}

START_TEST(a_service_keeps_what_its_tenants_had)
{
	static char nobody[] = "";
	char name[24];
	const struct board_total *total;

	board_answers_count(&board->answers[0][SLOT], 200, 100);
	atomic_store(&board->cells[0][SLOT].bytes_in, 10);
	atomic_store(&board->cells[1][SLOT].bytes_out, 20);
	board_refuse(board, SLOT, BOARD_REFUSED_NO_ROOM);
	ck_assert_ptr_null(board_gone_find(board, "notes"));
	board_gone_add(board, SLOT, "notes", is_declared, nobody);
	board_gone_add(board, SLOT, "notes", is_declared, nobody);
	board_gone_add(board, SLOT + 1, "notes", is_declared, nobody);
	total = board_gone_find(board, "notes");
	ck_assert_uint_eq(total->answered.codes[BOARD_CODE_2XX], 2);
	ck_assert_uint_eq(total->bytes_in, 20);
	ck_assert_uint_eq(total->bytes_out, 40);
	ck_assert_uint_eq(total->refusals[BOARD_REFUSED_NO_ROOM], 2);
	ck_assert_ptr_null(board_gone_find(board, "note"));
	/* When there is no place, that of one which is not declared any more is taken, or none. */
	for (int i = 1; i < BOARD_GONE_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		board_gone_add(board, SLOT, name, is_declared, nobody);
	}
	board_gone_add(board, SLOT, "late", is_declared, nobody);
	ck_assert_ptr_null(board_gone_find(board, "late"));
	board_gone_add(board, SLOT, "late", is_declared, name);
	ck_assert_uint_eq(board_gone_find(board, "late")->bytes_in, 10);
	ck_assert_ptr_null(board_gone_find(board, name));
	ck_assert_uint_eq(board_gone_find(board, "s1")->bytes_in, 10);
}
END_TEST

START_TEST(names_that_do_not_fit)
{
	char name[80];

	memset(name, 'a', sizeof(name));
	name[68] = '\0';
	board_gone_add(board, SLOT, name, is_declared, name);
	board_gone_add(board, SLOT, "", is_declared, name);
	ck_assert_int_eq(*board->gone[0].service, 0);
	name[67] = '\0';
	board_gone_add(board, SLOT, name, is_declared, name);
	ck_assert_ptr_nonnull(board_gone_find(board, name));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("board answers");
	TCase *tests = tcase_create("board answers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, classes_and_times);
	tcase_add_test(tests, quantiles);
	tcase_add_test(tests, a_dead_workers_are_carried_over);
	tcase_add_test(tests, a_service_keeps_what_its_tenants_had);
	tcase_add_test(tests, names_that_do_not_fit);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
