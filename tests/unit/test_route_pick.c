/* Weights are exact over any sum/gcd consecutive tickets, not merely in the mean. */
#include <check.h>
#include <stdlib.h>

#include "mem.h"
#include "route_table.h"

#define TARGETS_MAX 64

static const uint32_t weight_sets[][6] = {
	{ 1 },
	{ 10000 },
	{ 1, 1 },
	{ 50, 50 },
	{ 95, 5 },
	{ 5, 95 },
	{ 99, 1 },
	{ 1, 9999 },
	{ 3, 0, 5 },
	{ 0, 7 },
	{ 1, 1, 1 },
	{ 100, 200, 300 },
	{ 7, 11, 13 },
	{ 2, 4, 8, 16, 32 },
	{ 6, 10, 15 },
	{ 10000, 9999, 9998, 9997, 1, 2 },
	{ 65521, 32749 },
	{ 1, 1, 1, 1, 1, 30000 },
};

struct picked {
	uint32_t weights[TARGETS_MAX]; /* after division by their gcd */
	uint32_t count, sum;
	struct route_host host;
};

static struct route_table *table;
static int fd;

static void setup(void)
{
	struct ten_error err;

	ck_assert_msg(route_table_create(&table, &fd, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	route_table_close(table);
}

static uint32_t divisor_of(const uint32_t *weights, uint32_t count)
{
	uint32_t divisor = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t a = divisor, b = weights[i];

		while (b) {
			uint32_t rest = a % b;

			a = b;
			b = rest;
		}
		divisor = a;
	}
	return divisor;
}

/* Publish WEIGHTS and look them up again, as a worker would. */
static void publish(const uint32_t *weights, uint32_t count, struct picked *picked)
{
	struct route_target targets[TARGETS_MAX];
	struct route_put put = {
		.kind = ROUTE_WEIGHTED,
		.name = "notes.localhost",
		.service = "notes",
		.targets = targets,
		.weights = weights,
		.target_count = count,
	};
	uint32_t divisor = divisor_of(weights, count);
	struct ten_error err;

	*picked = (struct picked){ .count = count };
	for (uint32_t i = 0; i < count; i++) {
		targets[i] = (struct route_target){ i, 1 };
		picked->weights[i] = weights[i] / divisor;
		picked->sum += picked->weights[i];
	}
	ck_assert_msg(route_table_put_host(table, &put, &err) == 0, "%s", err.text);
	route_table_host(table, put.name, 15, &picked->host);
	ck_assert_int_eq(picked->host.kind, ROUTE_WEIGHTED);
}

/* One whole window from START, then window + 1, + 2, ... by what enters and what leaves. */
static void check_windows(const struct picked *picked, uint64_t start, uint32_t slides)
{
	uint32_t counts[TARGETS_MAX] = { 0 };

	for (uint32_t i = 0; i < picked->sum; i++)
		counts[route_pick(&picked->host, start + i).slot]++;
	for (uint32_t slide = 0; slide <= slides; slide++) {
		ck_assert_mem_eq(counts, picked->weights, sizeof(counts));
		counts[route_pick(&picked->host, start + slide).slot]--;
		counts[route_pick(&picked->host, start + slide + picked->sum).slot]++;
	}
}

static void check_exact(const uint32_t *weights, uint32_t count)
{
	struct picked picked;
	uint32_t slides;

	publish(weights, count, &picked);
	slides = picked.sum < 300 ? picked.sum : 300;
	check_windows(&picked, 0, slides);
	check_windows(&picked, 1, slides);
	check_windows(&picked, 123456789, slides);
	check_windows(&picked, UINT32_MAX - picked.sum / 2, slides);
	check_windows(&picked, (1ull << 63) - picked.sum / 2, slides);
	/* The last tickets that a counter can give. */
	check_windows(&picked, UINT64_MAX - slides - 2 * (uint64_t)picked.sum, slides);
}

START_TEST(exact)
{
	check_exact(weight_sets[_i], 6);
}
END_TEST

START_TEST(exact_at_random)
{
	uint32_t weights[TARGETS_MAX];

	srandom(4711);
	for (int round = 0; round < 60; round++) {
		uint32_t count = 1 + (uint32_t)random() % TARGETS_MAX;
		uint32_t most = round % 3 ? 20 : 1000;

		for (uint32_t i = 0; i < count; i++)
			weights[i] = (uint32_t)random() % most;
		weights[random() % count] = 1 + (uint32_t)random() % most;
		check_exact(weights, count);
	}
}
END_TEST

/* Where the sum divides 2^64 even the wrap of the counter is exact. */
START_TEST(exact_across_the_wrap)
{
	static const uint32_t sets[][3] = { { 1, 1 }, { 3, 1 }, { 500, 500, 1000 }, { 255, 1 } };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct picked picked;

		publish(sets[i], 3, &picked);
		check_windows(&picked, 0 - (uint64_t)picked.sum / 2, picked.sum);
	}
}
END_TEST

START_TEST(large_sums)
{
	static const uint32_t weights[] = { UINT32_MAX - 2, 2 };
	static const uint32_t halves[] = { 1u << 31, (1u << 31) - 1 };
	uint32_t counts[2] = { 0 };
	struct picked picked;

	publish(halves, 2, &picked);
	for (uint64_t ticket = 0; ticket < 100000; ticket++)
		counts[route_pick(&picked.host, ticket * 1000003).slot]++;
	ck_assert_uint_gt(counts[0], 49000);
	ck_assert_uint_gt(counts[1], 49000);
	publish(weights, 2, &picked);
	for (uint64_t ticket = 0; ticket < 100000; ticket++)
		ck_assert_uint_lt(route_pick(&picked.host, ticket << 40).slot, 2);
}
END_TEST

START_TEST(too_large_a_sum_is_refused)
{
	static const uint32_t weights[] = { 1u << 31, 1u << 31, 1 };
	static const struct route_target targets[3] = { { 0, 1 }, { 1, 1 }, { 2, 1 } };
	struct route_put put = { .kind = ROUTE_WEIGHTED,
		.name = "notes.localhost",
		.service = "notes",
		.targets = targets,
		.weights = weights,
		.target_count = 3 };
	struct ten_error err = { 0 };
	struct route_host host;

	ck_assert_int_lt(route_table_put_host(table, &put, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "weights"));
	route_table_host(table, put.name, 15, &host);
	ck_assert_int_eq(host.kind, ROUTE_NONE);
}
END_TEST

/* Equal shares take turns; a small share is spread, not served in one run. */
START_TEST(spread)
{
	static const uint32_t halves[] = { 50, 50 }, thirds[] = { 9, 9, 9 }, canary[] = { 95, 5 };
	struct picked picked;
	uint64_t last = 0;

	publish(halves, 2, &picked);
	for (uint64_t t = 0; t < 100; t++)
		ck_assert_uint_ne(
			route_pick(&picked.host, t).slot, route_pick(&picked.host, t + 1).slot);
	publish(thirds, 3, &picked);
	for (uint64_t t = 0; t < 100; t++)
		ck_assert_uint_ne(
			route_pick(&picked.host, t).slot, route_pick(&picked.host, t + 1).slot);
	publish(canary, 2, &picked);
	for (uint64_t t = 0; t < 1000; t++) {
		if (route_pick(&picked.host, t).slot != 1)
			continue;
		ck_assert(t < 20 || t - last == 20);
		last = t;
	}
}
END_TEST

START_TEST(nothing_to_pick)
{
	static const uint32_t zeros[] = { 0, 0 };
	static const struct route_target targets[2] = { { 0, 1 }, { 1, 1 } };
	struct route_put put = { .kind = ROUTE_WEIGHTED,
		.name = "notes.localhost",
		.service = "notes",
		.targets = targets,
		.weights = zeros,
		.target_count = 2 };
	struct ten_error err;
	struct route_host host;
	enum instance_state state;

	ck_assert_int_eq(route_table_put_host(table, &put, &err), 0);
	route_table_host(table, put.name, 15, &host);
	ck_assert_int_eq(host.kind, ROUTE_WEIGHTED);
	ck_assert_uint_eq(host.target_count, 0);
	ck_assert(!route_table_state(table, route_pick(&host, 1), &state));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route_pick");
	TCase *tests = tcase_create("route_pick");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, exact, 0, sizeof(weight_sets) / sizeof(weight_sets[0]));
	tcase_add_test(tests, exact_at_random);
	tcase_add_test(tests, exact_across_the_wrap);
	tcase_add_test(tests, large_sums);
	tcase_add_test(tests, too_large_a_sum_is_refused);
	tcase_add_test(tests, spread);
	tcase_add_test(tests, nothing_to_pick);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
