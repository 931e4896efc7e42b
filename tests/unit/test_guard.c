#include <check.h>
#include <stdlib.h>

#include "guard.h"

static struct guard guard;

static void setup(void)
{
	guard = (struct guard){ 0 };
}

/* Ask as the daemon does: what is allowed happens, and the set is so much smaller. */
static bool remove_some(double now, size_t *tenants, size_t count, int64_t max_percent)
{
	if (!guard_allows(&guard, now, count, max_percent))
		return false;
	guard_note_removals(&guard, now, count);
	*tenants -= count;
	guard_note_size(&guard, now, *tenants);
	return true;
}

START_TEST(all_at_once)
{
	size_t tenants = 30;

	guard_note_size(&guard, 100, tenants);
	ck_assert(!remove_some(200, &tenants, 30, 20));
	ck_assert(!remove_some(201, &tenants, 29, 20));
	ck_assert_uint_eq(tenants, 30);
	ck_assert_uint_eq(guard_removed(&guard, 201), 0);
	ck_assert_uint_eq(guard_largest(&guard, 201), 30);
}
END_TEST

/* One file every two seconds, whatever the size of the set shrinks to meanwhile. */
START_TEST(one_after_the_other)
{
	size_t tenants = 30, refused = 0;

	guard_note_size(&guard, 0, tenants);
	for (int i = 0; i < 25; i++) {
		if (!remove_some(10 + i * 2, &tenants, 1, 20))
			refused++;
		guard_note_size(&guard, 10 + i * 2, tenants);
	}
	ck_assert_uint_eq(tenants, 25);
	ck_assert_uint_eq(refused, 20);
	ck_assert_uint_eq(guard_removed(&guard, 60), 5);
}
END_TEST

/* What was held adds up: the daemon asks for all that are missing each time. */
START_TEST(held_ones_add_up)
{
	size_t tenants = 30, missing = 0;

	guard_note_size(&guard, 0, tenants);
	for (int i = 0; i < 20; i++) {
		missing++;
		if (remove_some(10 + i * 2, &tenants, missing, 20))
			missing = 0;
	}
	ck_assert_uint_eq(tenants, 25);
	ck_assert_uint_eq(missing, 15);
}
END_TEST

static const struct {
	size_t tenants, removals;
	int64_t percent;
	bool allowed;
} shares[] = {
	{ 3, 3, 20, true },
	{ 5, 5, 0, true },
	{ 6, 6, 20, false },
	{ 6, 6, 99, false },
	{ 6, 6, 100, true },
	{ 100, 5, 0, true },
	{ 100, 6, 0, false },
	{ 100, 6, 20, true },
	{ 100, 19, 20, true },
	{ 100, 20, 20, false },
	{ 100, 21, 20, false },
	{ 100, 50, 51, true },
	{ 100, 98, 99, true },
	{ 100, 99, 99, false },
	{ 100, 100, 100, true },
	{ 1000, 199, 20, true },
	{ 1000, 200, 20, false },
	{ 100000, 19999, 20, true },
	{ 100000, 0, 0, true },
	{ 0, 0, 20, true },
};

START_TEST(share)
{
	guard_note_size(&guard, 1, shares[_i].tenants);
	ck_assert_int_eq(guard_allows(&guard, 2, shares[_i].removals, shares[_i].percent),
		shares[_i].allowed);
}
END_TEST

START_TEST(window_of_removals)
{
	size_t tenants = 100;

	guard_note_size(&guard, 0, tenants);
	ck_assert(remove_some(10, &tenants, 10, 20));
	ck_assert(remove_some(300, &tenants, 9, 20));
	ck_assert(!remove_some(310, &tenants, 1, 20));
	ck_assert_uint_eq(guard_removed(&guard, 609), 19);
	ck_assert(!remove_some(609, &tenants, 1, 20));
	/* The first ten are ten minutes ago, and of 90 that were the most since. */
	ck_assert_uint_eq(guard_removed(&guard, 611), 9);
	ck_assert(remove_some(611, &tenants, 1, 20));
	ck_assert_uint_eq(guard_removed(&guard, 901), 1);
	ck_assert_uint_eq(guard_removed(&guard, 5000), 0);
}
END_TEST

START_TEST(window_of_sizes)
{
	guard_note_size(&guard, 0, 50);
	guard_note_size(&guard, 10, 500);
	ck_assert_uint_eq(guard_largest(&guard, 10), 500);
	guard_note_size(&guard, 1000, 40); /* 500 were declared until now */
	ck_assert_uint_eq(guard_largest(&guard, 1000), 500);
	ck_assert_uint_eq(guard_largest(&guard, 1599), 500);
	ck_assert_uint_eq(guard_largest(&guard, 1601), 40);
	/* The present size does not grow old. */
	ck_assert_uint_eq(guard_largest(&guard, 1e9), 40);
	guard_note_size(&guard, 1e9, 60);
	ck_assert_uint_eq(guard_largest(&guard, 1e9), 60);
}
END_TEST

START_TEST(nothing_noted)
{
	ck_assert_uint_eq(guard_largest(&guard, 5), 0);
	ck_assert_uint_eq(guard_removed(&guard, 5), 0);
	ck_assert(guard_allows(&guard, 5, 5, 20));
	ck_assert(!guard_allows(&guard, 5, 6, 20));
	guard_forget(&guard);
	ck_assert_uint_eq(guard_largest(&guard, 5), 0);
}
END_TEST

/* After ten apply --confirm. */
START_TEST(forget)
{
	size_t tenants = 100;

	guard_note_size(&guard, 0, tenants);
	ck_assert(remove_some(1, &tenants, 19, 20));
	ck_assert(!remove_some(2, &tenants, 50, 20));
	guard_forget(&guard);
	guard_note_removals(&guard, 2, 50);
	tenants = 31;
	guard_note_size(&guard, 2, tenants);
	guard_forget(&guard);
	ck_assert_uint_eq(guard_removed(&guard, 3), 0);
	ck_assert_uint_eq(guard_largest(&guard, 3), 31);
	ck_assert(remove_some(3, &tenants, 6, 20));
	ck_assert(!remove_some(4, &tenants, 1, 20));
}
END_TEST

/* More events than are kept one by one: none is lost, and none counts for too short. */
START_TEST(many_events)
{
	for (int i = 0; i < 3 * GUARD_EVENTS; i++)
		guard_note_removals(&guard, i, 1);
	guard_note_removals(&guard, 200, 0);
	ck_assert_uint_eq(guard_removed(&guard, 3 * GUARD_EVENTS), 3 * GUARD_EVENTS);
	ck_assert_uint_eq(guard.event_count, GUARD_EVENTS);
	for (int i = 0; i < 3 * GUARD_EVENTS; i++)
		ck_assert_uint_ge(guard_removed(&guard, GUARD_WINDOW_SECONDS + i),
			(size_t)(3 * GUARD_EVENTS - i));
	ck_assert_uint_eq(guard_removed(&guard, GUARD_WINDOW_SECONDS + 3 * GUARD_EVENTS), 0);
}
END_TEST

START_TEST(many_sizes)
{
	/* Shrinking step by step: the largest stays known. */
	for (size_t i = 0; i < 3 * GUARD_EVENTS; i++)
		guard_note_size(&guard, (double)i, 1000 - i);
	ck_assert_uint_eq(guard_largest(&guard, 3 * GUARD_EVENTS), 1000);
	ck_assert_uint_le(guard.size_count, GUARD_EVENTS);
	ck_assert_uint_eq(guard.sizes[guard.size_count - 1].tenants, 1000 - (3 * GUARD_EVENTS - 1));
	/* Growing: only the last counts. */
	for (size_t i = 0; i < 3 * GUARD_EVENTS; i++)
		guard_note_size(&guard, 500 + (double)i, 2000 + i);
	ck_assert_uint_eq(guard.size_count, 1);
	ck_assert_uint_eq(guard_largest(&guard, 800), 2000 + 3 * GUARD_EVENTS - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard");
	TCase *tests = tcase_create("guard");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, all_at_once);
	tcase_add_test(tests, one_after_the_other);
	tcase_add_test(tests, held_ones_add_up);
	tcase_add_loop_test(tests, share, 0, sizeof(shares) / sizeof(shares[0]));
	tcase_add_test(tests, window_of_removals);
	tcase_add_test(tests, window_of_sizes);
	tcase_add_test(tests, nothing_noted);
	tcase_add_test(tests, forget);
	tcase_add_test(tests, many_events);
	tcase_add_test(tests, many_sizes);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
