/* What a worker keeps per slot. */
#include <check.h>

#include "proxy/slot_map.h"

#define COUNT 2000

struct thing {
	struct slot_entry entry;
	uint32_t value;
};

static struct slot_entry *map;

static void setup(void)
{
	map = NULL;
}

static void teardown(void)
{
	struct slot_entry *entry, *next;

	HASH_ITER (hh, map, entry, next)
		slot_map_drop(&map, entry);
	ck_assert_ptr_null(map);
}

/* Neither close together nor in order. */
static uint32_t slot_of(uint32_t i)
{
	return i * 2654435761u;
}

static void make_all(void)
{
	for (uint32_t i = 0; i < COUNT; i++) {
		struct thing *thing = slot_map_make(&map, slot_of(i), sizeof(*thing));

		ck_assert_ptr_nonnull(thing);
		ck_assert_uint_eq(thing->value, 0);
		thing->value = i + 1;
	}
}

START_TEST(test_nothing_in_an_empty_one)
{
	ck_assert_ptr_null(slot_map_find(map, 0));
	ck_assert_ptr_null(slot_map_find(map, UINT32_MAX));
}
END_TEST

START_TEST(test_finds_what_was_made)
{
	make_all();
	ck_assert_uint_eq(HASH_COUNT(map), COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		struct thing *thing = slot_map_find(map, slot_of(i));

		ck_assert_ptr_nonnull(thing);
		ck_assert_uint_eq(thing->entry.slot, slot_of(i));
		ck_assert_uint_eq(thing->value, i + 1);
	}
	ck_assert_ptr_null(slot_map_find(map, slot_of(COUNT)));
}
END_TEST

START_TEST(test_one_per_slot)
{
	struct thing *thing = slot_map_make(&map, 7, sizeof(*thing));

	ck_assert_ptr_nonnull(thing);
	thing->value = 11;
	ck_assert_ptr_eq(slot_map_make(&map, 7, sizeof(*thing)), thing);
	ck_assert_uint_eq(thing->value, 11);
	ck_assert_uint_eq(HASH_COUNT(map), 1);
}
END_TEST

START_TEST(test_dropped_and_made_anew)
{
	make_all();
	for (uint32_t i = 0; i < COUNT; i += 2)
		slot_map_drop(&map, slot_map_find(map, slot_of(i)));
	ck_assert_uint_eq(HASH_COUNT(map), COUNT / 2);
	for (uint32_t i = 0; i < COUNT; i++) {
		struct thing *thing = slot_map_find(map, slot_of(i));

		if (i % 2) {
			ck_assert_ptr_nonnull(thing);
			ck_assert_uint_eq(thing->value, i + 1);
			continue;
		}
		ck_assert_ptr_null(thing);
		thing = slot_map_make(&map, slot_of(i), sizeof(*thing));
		ck_assert_ptr_nonnull(thing);
		ck_assert_uint_eq(thing->value, 0);
	}
}
END_TEST

START_TEST(test_walked_in_the_order_of_making)
{
	struct slot_entry *entry, *next;
	uint32_t seen = 0;

	make_all();
	HASH_ITER (hh, map, entry, next) {
		ck_assert_uint_eq(entry->slot, slot_of(seen));
		seen++;
		slot_map_drop(&map, entry);
	}
	ck_assert_uint_eq(seen, COUNT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slot_map");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_nothing_in_an_empty_one);
	tcase_add_test(tests, test_finds_what_was_made);
	tcase_add_test(tests, test_one_per_slot);
	tcase_add_test(tests, test_dropped_and_made_anew);
	tcase_add_test(tests, test_walked_in_the_order_of_making);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
