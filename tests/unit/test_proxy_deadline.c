/* The wheel of deadlines in a time of our own making. */
#include <check.h>
#include <ev.h>
#include <stdlib.h>

#include "proxy/deadline.h"

#define COUNT   500
#define LATE_MS (2 * DEADLINE_TICK_MS)

static struct deadline_wheel wheel;
static uint64_t now_ms;
static struct entry {
	struct deadline deadline; /* first: an entry is found by it */
	uint64_t due_ms;
	unsigned fired;
} entries[COUNT];

static void expired(struct deadline *deadline)
{
	struct entry *entry = (struct entry *)deadline;

	ck_assert(!deadline_is_set(deadline));
	ck_assert_uint_ge(now_ms, entry->due_ms);
	ck_assert_uint_le(now_ms, entry->due_ms + LATE_MS);
	entry->fired++;
}

static void setup(void)
{
	now_ms = 123456789;
	deadline_wheel_init(&wheel, ev_default_loop(0), &now_ms);
	for (size_t i = 0; i < COUNT; i++)
		entries[i] = (struct entry){ .deadline.expired = expired };
}

static void teardown(void)
{
	ev_timer_stop(wheel.loop, &wheel.timer);
}

static void set(struct entry *entry, uint64_t due_ms)
{
	entry->due_ms = due_ms;
	deadline_set(&wheel, &entry->deadline, due_ms);
}

/* Go on by steps of a millisecond, and call the timer when it would ring. */
static void pass(uint64_t ms)
{
	for (uint64_t end = now_ms + ms; now_ms < end; now_ms++)
		if (wheel.armed_tick && now_ms > wheel.armed_tick * DEADLINE_TICK_MS) {
			ev_timer_stop(wheel.loop, &wheel.timer);
			ev_invoke(wheel.loop, &wheel.timer, EV_TIMER);
		}
}

static unsigned fired(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < COUNT; i++)
		count += entries[i].fired;
	return count;
}

START_TEST(test_each_once_and_in_time)
{
	srand(1);
	for (size_t i = 0; i < COUNT; i++)
		set(&entries[i], now_ms + (uint64_t)rand() % 60000);
	pass(70000);
	for (size_t i = 0; i < COUNT; i++)
		ck_assert_uint_eq(entries[i].fired, 1);
	ck_assert_uint_eq(wheel.armed_tick, 0);
}
END_TEST

START_TEST(test_put_off_brought_forward_and_stopped)
{
	set(&entries[0], now_ms + 100);
	set(&entries[1], now_ms + 30000);
	set(&entries[2], now_ms + 100);
	for (int i = 0; i < 50; i++) {
		set(&entries[0], now_ms + 100);
		pass(50);
	}
	ck_assert_uint_eq(entries[0].fired, 0);
	set(&entries[1], now_ms + 20);
	deadline_stop(&entries[0].deadline);
	deadline_stop(&entries[0].deadline);
	pass(1000);
	ck_assert_uint_eq(entries[0].fired, 0);
	ck_assert_uint_eq(entries[1].fired, 1);
	ck_assert_uint_eq(fired(), 2);
}
END_TEST

/* An empty wheel stands still; what is set after a long rest is neither early nor a round late. */
START_TEST(test_after_a_rest)
{
	for (int i = 0; i < 5; i++) {
		now_ms += 1000003;
		set(&entries[i], now_ms + 50);
		set(&entries[i + 5], now_ms + 17000);
		pass(20000);
	}
	ck_assert_uint_eq(fired(), 10);
}
END_TEST

static void again(struct deadline *deadline)
{
	struct entry *entry = (struct entry *)deadline;

	expired(deadline);
	/* Setting itself anew, and stopping a neighbour that is due at the same time. */
	if (entry->fired < 3)
		set(entry, now_ms);
	deadline_stop(&entries[1].deadline);
}

START_TEST(test_changes_while_it_rings)
{
	entries[0].deadline.expired = again;
	set(&entries[0], now_ms + 5);
	set(&entries[1], now_ms + 5);
	set(&entries[2], now_ms + 5);
	pass(1000);
	ck_assert_uint_eq(entries[0].fired, 3);
	ck_assert_uint_eq(entries[1].fired, 0);
	ck_assert_uint_eq(entries[2].fired, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy_deadline");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_each_once_and_in_time);
	tcase_add_test(tests, test_put_off_brought_forward_and_stopped);
	tcase_add_test(tests, test_after_a_rest);
	tcase_add_test(tests, test_changes_while_it_rings);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
