#include <stdio.h>
#include <stdlib.h>

#include "check_often.h"
#include "tries.h"

#define NOW 1000000u

static struct tries *tries;

static void setup(void)
{
	tries = tries_new(0x1234567890abcdefu);
}

static void teardown(void)
{
	tries_free(tries);
}

static bool allowed(const char *address, uint64_t now_ms)
{
	unsigned secs = 0;
	bool may = tries_allowed(tries, address, now_ms, &secs);

	ck_assert_int_eq(may, secs == 0);
	return may;
}

static void fail_times(const char *address, unsigned count, uint64_t now_ms)
{
	while (count--)
		tries_failed(tries, address, now_ms);
}

START_TEST(ten_within_a_minute)
{
	unsigned secs;

	for (unsigned i = 1; i <= TRIES_MAX; i++) {
		ck_assert(allowed("192.0.2.1", NOW + i));
		ck_assert_int_eq(tries_failed(tries, "192.0.2.1", NOW + i), i == TRIES_MAX);
	}
	ck_assert(!tries_allowed(tries, "192.0.2.1", NOW + 10001, &secs));
	ck_assert_uint_eq(secs, 50);
	ck_assert(!tries_allowed(tries, "192.0.2.1", NOW + TRIES_WINDOW_MS, &secs));
	ck_assert_uint_eq(secs, 1);
	ck_assert(allowed("192.0.2.1", NOW + 1 + TRIES_WINDOW_MS));
	ck_assert(allowed("192.0.2.2", NOW + 11));
	ck_assert(allowed("::1", NOW + 11));
}
END_TEST

START_TEST(refused_tries_do_not_prolong)
{
	fail_times("192.0.2.1", TRIES_MAX, NOW);
	fail_times("192.0.2.1", 1000, NOW + TRIES_WINDOW_MS - 1);
	ck_assert(!allowed("192.0.2.1", NOW + TRIES_WINDOW_MS - 1));
	ck_assert(allowed("192.0.2.1", NOW + TRIES_WINDOW_MS));
}
END_TEST

START_TEST(counts_begin_anew)
{
	fail_times("192.0.2.1", TRIES_MAX - 1, NOW);
	fail_times("192.0.2.1", TRIES_MAX - 1, NOW + TRIES_WINDOW_MS);
	ck_assert(allowed("192.0.2.1", NOW + TRIES_WINDOW_MS));
	fail_times("192.0.2.1", 1, NOW + TRIES_WINDOW_MS + 1);
	ck_assert(!allowed("192.0.2.1", NOW + TRIES_WINDOW_MS + 1));
}
END_TEST

static const struct {
	const char *failing, *other;
	bool same;
} pairs[] = {
	{ "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true },
	{ "2001:db8:1:2::1", "2001:db8:1:3::1", false },
	{ "192.0.2.7", "::ffff:192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.8", false },
	{ "", "x", false },
	{ "unix", "unix", true },
};

START_TEST(what_is_one_address)
{
	fail_times(pairs[_i].failing, TRIES_MAX, NOW);
	ck_assert(!allowed(pairs[_i].failing, NOW));
	ck_assert_int_eq(allowed(pairs[_i].other, NOW), !pairs[_i].same);
}
END_TEST

/* A hundred thousand that failed once or nine times each do not free the one that is refused, and
 * none of them is refused for another's failures. */
START_TEST(others_do_not_free_it)
{
	char address[32];

	fail_times("192.0.2.1", TRIES_MAX, NOW);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		ck_assert(allowed(address, NOW));
		fail_times(address, i % 2 ? 1 : TRIES_MAX - 1, NOW + 1);
		ck_assert(allowed(address, NOW + 1));
	}
	ck_assert(!allowed("192.0.2.1", NOW + 2));
}
END_TEST

/* More that are refused than there is room for: the first of them may go, the newest may not. */
START_TEST(bounded)
{
	char address[32];
	unsigned refused = 0;

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		fail_times(address, TRIES_MAX, NOW + i);
		ck_assert(!allowed(address, NOW + i));
	}
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		refused += !allowed(address, NOW + 20000);
	}
	ck_assert_uint_gt(refused, 4000);
	ck_assert_uint_le(refused, 8192);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tries");
	TCase *tests = tcase_create("tries");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, ten_within_a_minute);
	tcase_add_test(tests, refused_tries_do_not_prolong);
	tcase_add_test(tests, counts_begin_anew);
	tcase_add_loop_test(tests, what_is_one_address, 0, sizeof(pairs) / sizeof(*pairs));
	tcase_add_test(tests, others_do_not_free_it);
	tcase_add_test(tests, bounded);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
