/* Who makes room: tables of who has a process and who goes; and how the kernel spells pressure. */
#include <check.h>
#include <stdlib.h>

#include "eviction.h"
#include "pressure.h"

#pragma GCC diagnostic ignored "-Woverride-init"

#define IDLE(...)                                                                                  \
	{                                                                                          \
		.state = INSTANCE_READY, .on_demand = true, .last_used_ms = 1000, __VA_ARGS__      \
	}

static const struct {
	struct eviction_tenant tenant;
	enum eviction_way for_place, for_memory;
} ways[] = {
	{ IDLE(), EVICTION_STOP, EVICTION_STOP },
	{ IDLE(.state = INSTANCE_FROZEN), EVICTION_STOP, EVICTION_STOP },
	{ IDLE(.on_demand = false), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.in_flight = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.held = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.fresh = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.connected = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.state = INSTANCE_FROZEN, .connected = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.freezable = true), EVICTION_STOP, EVICTION_FREEZE },
	{ IDLE(.freezable = true, .connected = true), EVICTION_NONE, EVICTION_FREEZE },
	{ IDLE(.freezable = true, .in_flight = true), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.freezable = true, .state = INSTANCE_FROZEN), EVICTION_STOP, EVICTION_STOP },
	{ IDLE(.state = INSTANCE_STARTING), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.state = INSTANCE_DRAINING), EVICTION_NONE, EVICTION_NONE },
	{ IDLE(.state = INSTANCE_STOPPING), EVICTION_NONE, EVICTION_NONE },
};

START_TEST(test_way)
{
	ck_assert_int_eq(eviction_way_of(&ways[_i].tenant, EVICTION_FOR_PLACE), ways[_i].for_place);
	ck_assert_int_eq(
		eviction_way_of(&ways[_i].tenant, EVICTION_FOR_MEMORY), ways[_i].for_memory);
}
END_TEST

#define SEVERAL 4
static const struct {
	struct eviction_tenant tenants[SEVERAL];
	int64_t priority;
	size_t chosen; /* SEVERAL: none */
} choices[] = {
	/* the longest idle */
	{ { IDLE(.last_used_ms = 30), IDLE(.last_used_ms = 10), IDLE(.last_used_ms = 20), IDLE() },
		0, 1 },
	/* of the lowest priority, however short a time it was idle */
	{ { IDLE(.last_used_ms = 10), IDLE(.priority = -1),
		  IDLE(.priority = -1, .last_used_ms = 900),
		  IDLE(.priority = 5, .last_used_ms = 1) },
		0, 2 },
	/* passing over those that cannot go */
	{ { IDLE(.last_used_ms = 1, .in_flight = true), IDLE(.last_used_ms = 2, .held = true),
		  IDLE(.last_used_ms = 3, .on_demand = false), IDLE(.last_used_ms = 4) },
		0, 3 },
	/* nobody for one of lower priority */
	{ { IDLE(.priority = 1), IDLE(.priority = 2), IDLE(.priority = 3), IDLE(.priority = 4) }, 0,
		SEVERAL },
	{ { IDLE(.priority = 4), IDLE(.priority = 3), IDLE(.priority = 2), IDLE(.priority = 3) }, 2,
		2 },
	{ { IDLE(.priority = -100), IDLE(.in_flight = true), IDLE(.in_flight = true),
		  IDLE(.in_flight = true) },
		-100, 0 },
	/* but for a bound that is passed anybody */
	{ { IDLE(.priority = 4), IDLE(.priority = 3), IDLE(.priority = 2), IDLE(.priority = 100) },
		EVICTION_ANY_PRIORITY, 2 },
	{ { IDLE(.in_flight = true), IDLE(.fresh = true), IDLE(.on_demand = false),
		  IDLE(.state = INSTANCE_STOPPING) },
		EVICTION_ANY_PRIORITY, SEVERAL },
};

START_TEST(test_choice)
{
	ck_assert_uint_eq(eviction_choose(choices[_i].tenants, SEVERAL, EVICTION_FOR_PLACE,
				  choices[_i].priority),
		choices[_i].chosen);
}
END_TEST

START_TEST(test_choice_of_nobody)
{
	ck_assert_uint_eq(eviction_choose(NULL, 0, EVICTION_FOR_MEMORY, EVICTION_ANY_PRIORITY), 0);
}
END_TEST

static const struct {
	size_t running, going, wanted, max, missing;
} counts[] = {
	{ 5, 0, 3, 0, 0 }, /* no bound */
	{ 0, 0, 1, 2, 0 },
	{ 1, 0, 1, 2, 0 },
	{ 2, 0, 1, 2, 1 },
	{ 2, 1, 1, 2, 0 }, /* one that ends is waited for */
	{ 2, 1, 2, 2, 1 },
	{ 2, 2, 2, 2, 0 },
	{ 5, 0, 0, 2, 3 }, /* it was lowered */
	{ 5, 1, 1, 2, 3 },
	{ 1, 2, 1, 1, 0 },
};

START_TEST(test_missing)
{
	ck_assert_uint_eq(eviction_missing(counts[_i].running, counts[_i].going, counts[_i].wanted,
				  counts[_i].max),
		counts[_i].missing);
}
END_TEST

static const struct {
	const char *text;
	double percent;
} pressures[] = {
	{ "some avg10=0.00 avg60=0.00 avg300=0.00 total=2152\nfull avg10=0.00 avg60=0.00\n", 0 },
	{ "some avg10=12.05 avg60=1.00 avg300=0.10 total=1\n", 12.05 },
	{ "some avg10=100.00 avg60=1.00 avg300=0.10 total=1\n", 100 },
	{ "some avg10=101.00 avg60=1.00\n", -1 },
	{ "full avg10=1.00 avg60=1.00\n", -1 },
	{ "some avg10=", -1 },
	{ "", -1 },
};

START_TEST(test_pressure)
{
	ck_assert_double_eq_tol(pressure_parse(pressures[_i].text), pressures[_i].percent, 0.0001);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eviction");
	TCase *tests = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, test_way, 0, (int)(sizeof(ways) / sizeof(ways[0])));
	tcase_add_loop_test(tests, test_choice, 0, (int)(sizeof(choices) / sizeof(choices[0])));
	tcase_add_test(tests, test_choice_of_nobody);
	tcase_add_loop_test(tests, test_missing, 0, (int)(sizeof(counts) / sizeof(counts[0])));
	tcase_add_loop_test(
		tests, test_pressure, 0, (int)(sizeof(pressures) / sizeof(pressures[0])));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
