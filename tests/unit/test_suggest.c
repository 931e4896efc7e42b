#include <check.h>
#include <stdlib.h>

#include "suggest.h"

static const struct {
	const char *a, *b;
	unsigned distance;
} distances[] = {
	{ "", "", 0 },
	{ "", "abc", 3 },
	{ "abc", "abc", 0 },
	{ "memmory", "memory", 1 },
	{ "domians", "domains", 1 }, /* neighbours swapped */
	{ "ab", "ba", 1 },
	{ "kitten", "sitting", 3 },
	{ "flaw", "lawn", 2 },
};

START_TEST(distance)
{
	ck_assert_uint_eq(
		suggest_distance(distances[_i].a, distances[_i].b), distances[_i].distance);
	ck_assert_uint_eq(
		suggest_distance(distances[_i].b, distances[_i].a), distances[_i].distance);
}
END_TEST

static const struct {
	const char *name;
	const char *best; /* of "service", "tenant", "route", "id" */
} nearest[] = {
	{ "servce", "service" },
	{ "services", "service" },
	{ "tennat", "tenant" },
	{ "router", "route" },
	{ "ib", "id" },
	{ "xy", NULL },
	{ "completely", NULL },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		NULL },
};

START_TEST(offer)
{
	struct suggest suggest = suggest_begin(nearest[_i].name);

	suggest_offer(&suggest, "service");
	suggest_offer(&suggest, "tenant");
	suggest_offer(&suggest, "route");
	suggest_offer(&suggest, "id");
	ck_assert_pstr_eq(suggest.best, nearest[_i].best);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("suggest");
	TCase *tests = tcase_create("suggest");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, distance, 0, sizeof(distances) / sizeof(distances[0]));
	tcase_add_loop_test(tests, offer, 0, sizeof(nearest) / sizeof(nearest[0]));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
