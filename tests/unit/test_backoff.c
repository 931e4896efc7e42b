#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "backoff.h"

static const struct {
	uint64_t base, max;
	size_t failures;
	double share;
	uint64_t delay;
} delays[] = {
	{ 1000, 60000, 1, 0.5, 1000 },
	{ 1000, 60000, 0, 0.5, 1000 },
	{ 1000, 60000, 2, 0.5, 2000 },
	{ 1000, 60000, 6, 0.5, 32000 },
	{ 1000, 60000, 7, 0.5, 60000 },
	{ 1000, 60000, 1000000000, 0.5, 60000 },
	{ 1000, 60000, 1, 0.0, 800 },
	{ 1000, 60000, 1, 0.75, 1100 },
	{ 1000, 60000, 7, 0.0, 48000 },
	{ 1000, 60000, 7, 1.0, 60000 }, /* never over the maximum */
	{ 5000, 100, 1, 0.5, 100 },     /* a base over the maximum */
	{ 86400000, 86400000, 30, 0.5, 86400000 },
};

START_TEST(delay)
{
	ck_assert_uint_eq(backoff_delay_ms(delays[_i].base, delays[_i].max, delays[_i].failures,
				  delays[_i].share),
		delays[_i].delay);
}
END_TEST

#define MANY 1000
#define BINS 10

/* A thousand that were killed together do not come back together: each tenth of the range gets its
 * tenth of them, give or take. */
START_TEST(spread)
{
	unsigned by_key[BINS] = { 0 }, by_turn[BINS] = { 0 };
	char key[32];

	for (unsigned i = 0; i < MANY; i++) {
		double one, other;

		snprintf(key, sizeof(key), "notes:tenant-%u", i);
		one = backoff_share(key, 0);
		other = backoff_share("notes:alice", i);
		ck_assert(one >= 0 && one < 1 && other >= 0 && other < 1);
		by_key[(unsigned)(one * BINS)]++;
		by_turn[(unsigned)(other * BINS)]++;
	}
	for (unsigned i = 0; i < BINS; i++) {
		ck_assert_uint_ge(by_key[i], MANY / BINS / 2);
		ck_assert_uint_ge(by_turn[i], MANY / BINS / 2);
	}
}
END_TEST

START_TEST(same)
{
	ck_assert(backoff_share("a:b", 7) == backoff_share("a:b", 7));
	ck_assert(backoff_share("a:b", 7) != backoff_share("a:b", 8));
	ck_assert(backoff_share("a:b", 7) != backoff_share("a:c", 7));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *tests = tcase_create("backoff");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, delay, 0, sizeof(delays) / sizeof(delays[0]));
	tcase_add_test(tests, spread);
	tcase_add_test(tests, same);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
