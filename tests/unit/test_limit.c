#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "limit.h"

#define MS      1000000ull
#define SECOND  (1000 * MS)
#define THREADS 8

/* ---- a rate ---- */

START_TEST(intervals)
{
	static const struct {
		uint32_t rate, interval_ns;
	} rows[] = {
		{ 0, 0 },
		{ 1, 1000000000 },
		{ 3, 333333334 }, /* rounded up: never more than asked for */
		{ 1000, 1000000 },
		{ 999999, 1001 },
		{ 1000000, 1000 },
	};

	ck_assert_uint_eq(limit_interval_ns(rows[_i].rate), rows[_i].interval_ns);
}
END_TEST

/* One limit after the other on the same state, each asked COUNT times at AT. */
struct ask {
	uint64_t at_ms;
	uint32_t rate, burst, count;
	uint32_t admitted;
	uint64_t wait_ms; /* of the first that is refused */
};

static const struct {
	const char *name;
	struct ask asks[6];
} sequences[] = {
	{ "a burst, then one per interval",
		{ { 1000, 10, 5, 8, 5, 100 }, { 1099, 10, 5, 1, 0, 1 }, { 1100, 10, 5, 2, 1, 100 },
			{ 1500, 10, 5, 9, 4, 100 }, { 99000, 10, 5, 9, 5, 100 } } },
	{ "a burst of one is even spacing", { { 1000, 10, 1, 3, 1, 100 }, { 1050, 10, 1, 1, 0, 50 },
						    { 1100, 10, 1, 3, 1, 100 } } },
	{ "no burst is a burst of one",
		{ { 1000, 10, 0, 3, 1, 100 }, { 1100, 10, 0, 3, 1, 100 } } },
	{ "one a second, many at once", { { 1000, 1, 1000000, 100, 100, 0 } } },
	{ "a higher limit is not held back by what a lower one let through",
		{ { 1000, 1, 100, 200, 100, 1000 }, { 1000, 100, 10, 2, 0, 10 },
			{ 1010, 100, 10, 2, 1, 10 }, { 1100, 100, 10, 99, 9, 10 } } },
	{ "a lower limit begins with nothing to spare",
		{ { 1000, 1000, 3000, 3000, 3000, 0 }, { 1000, 10, 1, 2, 0, 100 },
			{ 1100, 10, 1, 2, 1, 100 } } },
	{ "who has read the clock long ago lets nobody else through",
		{ { 1000, 10, 2, 3, 2, 100 }, { 700, 10, 2, 1, 0, 400 }, { 1000, 10, 2, 1, 0, 100 },
			{ 1100, 10, 2, 2, 1, 100 } } },
};

START_TEST(rates)
{
	_Atomic uint64_t state = 0;

	for (const struct ask *ask = sequences[_i].asks; ask->rate; ask++) {
		uint32_t interval = limit_interval_ns(ask->rate);
		uint32_t admitted = 0;
		uint64_t wait = 0, first_wait = 0;

		for (uint32_t i = 0; i < ask->count; i++) {
			if (limit_rate_take(&state, ask->at_ms * MS, interval, ask->burst, &wait))
				admitted++;
			else if (!first_wait)
				first_wait = wait;
		}
		ck_assert_msg(admitted == ask->admitted, "%s: at %d: %u", sequences[_i].name,
			(int)ask->at_ms, admitted);
		ck_assert_msg(first_wait == ask->wait_ms * MS, "%s: at %d: wait %d ms",
			sequences[_i].name, (int)ask->at_ms, (int)(first_wait / MS));
	}
}
END_TEST

/* Whoever waits for as long as was said gets through, and not a nanosecond sooner. */
START_TEST(the_wait_is_exact)
{
	_Atomic uint64_t state = 0;
	uint64_t now = 5 * SECOND, wait, ignored;

	for (int i = 0; i < 7; i++)
		ck_assert(limit_rate_take(&state, now, 333333334, 7, &wait));
	for (int i = 0; i < 100; i++) {
		ck_assert(!limit_rate_take(&state, now, 333333334, 7, &wait));
		ck_assert(!limit_rate_take(&state, now + wait - 1, 333333334, 7, &ignored));
		now += wait;
		ck_assert(limit_rate_take(&state, now, 333333334, 7, &ignored));
	}
}
END_TEST

static struct {
	pthread_barrier_t start;
	_Atomic uint64_t rate;
	_Atomic uint32_t admitted;
	_Atomic uint32_t count;
	_Atomic uint32_t ledgers[THREADS];
	_Atomic uint32_t inside, most_inside, passed;
} shared;

static void run(void *(*work)(void *))
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&shared.start, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&shared.start);
}

static void *rate_work(void *data)
{
	uint64_t wait;

	(void)data;
	pthread_barrier_wait(&shared.start);
	for (int i = 0; i < 20000; i++)
		if (limit_rate_take(&shared.rate, SECOND, 1000, 12345, &wait))
			atomic_fetch_add(&shared.admitted, 1);
	return NULL;
}

START_TEST(a_burst_of_threads_is_exact)
{
	atomic_store(&shared.rate, 0);
	atomic_store(&shared.admitted, 0);
	run(rate_work);
	ck_assert_uint_eq(atomic_load(&shared.admitted), 12345);
}
END_TEST

/* ---- a number ---- */

START_TEST(counts)
{
	_Atomic uint32_t count = 0, mine = 0, other = 0;

	ck_assert(!limit_count_take(&count, &mine, 0));
	ck_assert(limit_count_take(&count, &mine, 2));
	ck_assert(limit_count_take(&count, &other, 2));
	ck_assert(!limit_count_take(&count, &mine, 2));
	ck_assert_uint_eq(atomic_load(&mine), 1);
	limit_count_give(&count, &mine);
	ck_assert_uint_eq(atomic_load(&mine), 0);
	ck_assert_uint_eq(atomic_load(&count), 1);
	/* OTHER dies; it had written its ledger and not counted yet. */
	atomic_store(&other, 2);
	limit_count_subtract(&count, atomic_load(&other));
	ck_assert_uint_eq(atomic_load(&count), 0);
	/* MINE is one ahead after such a death elsewhere: it never falls below 0. */
	atomic_store(&mine, 1);
	limit_count_give(&count, &mine);
	limit_count_give(&count, &mine);
	ck_assert_uint_eq(atomic_load(&count), 0);
	ck_assert_uint_eq(atomic_load(&mine), 0);
}
END_TEST

static void *count_work(void *data)
{
	_Atomic uint32_t *ledger = &shared.ledgers[(size_t)data];

	pthread_barrier_wait(&shared.start);
	for (int i = 0; i < 20000; i++) {
		uint32_t now, most;

		if (!limit_count_take(&shared.count, ledger, 3))
			continue;
		now = atomic_fetch_add(&shared.inside, 1) + 1;
		most = atomic_load(&shared.most_inside);
		while (now > most && !atomic_compare_exchange_weak(&shared.most_inside, &most, now))
			;
		atomic_fetch_add(&shared.passed, 1);
		atomic_fetch_sub(&shared.inside, 1);
		limit_count_give(&shared.count, ledger);
	}
	return NULL;
}

START_TEST(never_more_than_the_limit)
{
	run(count_work);
	ck_assert_uint_le(atomic_load(&shared.most_inside), 3);
	ck_assert_uint_gt(atomic_load(&shared.passed), 1000);
	ck_assert_uint_eq(atomic_load(&shared.count), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_uint_eq(atomic_load(&shared.ledgers[i]), 0);
}
END_TEST

static void *fill_work(void *data)
{
	pthread_barrier_wait(&shared.start);
	while (limit_count_take(&shared.count, &shared.ledgers[(size_t)data], 5000))
		;
	return NULL;
}

START_TEST(never_fewer_than_the_limit)
{
	uint32_t held = 0;

	run(fill_work);
	ck_assert_uint_eq(atomic_load(&shared.count), 5000);
	for (int i = 0; i < THREADS; i++)
		held += atomic_load(&shared.ledgers[i]);
	ck_assert_uint_eq(held, 5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limit");
	TCase *tests = tcase_create("limit");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, intervals, 0, 6);
	tcase_add_loop_test(tests, rates, 0, sizeof(sequences) / sizeof(sequences[0]));
	tcase_add_test(tests, the_wait_is_exact);
	tcase_add_test(tests, a_burst_of_threads_is_exact);
	tcase_add_test(tests, counts);
	tcase_add_test(tests, never_more_than_the_limit);
	tcase_add_test(tests, never_fewer_than_the_limit);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
