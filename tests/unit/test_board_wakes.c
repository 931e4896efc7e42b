/* Budgets of wakes and claims on them, by all workers together. */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "board_wakes.h"

#define SLOT    77
#define NOW     5000000ull
#define MINUTE  60000ull
#define THREADS 8

static struct board *board;
static int fd;

static void setup(void)
{
	struct ten_error err;

	ck_assert_msg(board_create(&board, &fd, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	board_close(board);
	close(fd);
}

static bool take(const char *name, uint64_t now, uint32_t per_minute, uint64_t *wait)
{
	_Atomic uint64_t *place;
	uint8_t address[16];

	ck_assert_int_eq(inet_pton(AF_INET6, name, address), 1);
	return board_wakes_take_address(board, address, now, per_minute, &place, wait);
}

static bool take_service(uint32_t counter, uint64_t now, uint32_t per_minute, uint64_t *wait)
{
	_Atomic uint64_t *place;

	return board_wakes_take_service(board, counter, now, per_minute, &place, wait);
}

START_TEST(so_many_at_once_and_then_evenly)
{
	uint64_t wait = 0;

	for (int i = 0; i < 6; i++)
		ck_assert(take("::ffff:192.0.2.1", NOW, 6, &wait));
	ck_assert(!take("::ffff:192.0.2.1", NOW, 6, &wait));
	ck_assert_uint_eq(wait, MINUTE / 6);
	ck_assert(!take("::ffff:192.0.2.1", NOW + 9999, 6, &wait));
	ck_assert_uint_eq(wait, 1);
	ck_assert(take("::ffff:192.0.2.1", NOW + 10000, 6, &wait));
	ck_assert(!take("::ffff:192.0.2.1", NOW + 10000, 6, &wait));
	/* Another one is another one. */
	ck_assert(take("::ffff:192.0.2.2", NOW, 6, &wait));
	for (int i = 0; i < 6; i++)
		ck_assert(take("::ffff:192.0.2.1", NOW + 2 * MINUTE, 6, &wait));
	ck_assert(!take("::ffff:192.0.2.1", NOW + 2 * MINUTE, 6, &wait));
}
END_TEST

START_TEST(a_64_is_one_address)
{
	uint64_t wait;

	ck_assert(take("2001:db8::1", NOW, 1, &wait));
	ck_assert(!take("2001:db8::2", NOW, 1, &wait));
	ck_assert_uint_eq(wait, MINUTE);
	ck_assert(take("2001:db8:0:1::1", NOW, 1, &wait));
}
END_TEST

START_TEST(services_are_counted_apart)
{
	uint64_t wait;

	ck_assert(take_service(3, NOW, 2, &wait));
	ck_assert(take_service(3, NOW, 2, &wait));
	ck_assert(take_service(4, NOW, 2, &wait));
	ck_assert(!take_service(3, NOW, 2, &wait));
	ck_assert_uint_eq(wait, MINUTE / 2);
	ck_assert(take_service(BOARD_PICKS_MAX - 1, NOW, 2, &wait));
}
END_TEST

START_TEST(what_is_given_back_may_be_taken_again)
{
	_Atomic uint64_t *by_address, *by_service, *other;
	uint8_t address[16] = { 1 };
	uint64_t wait;

	for (int i = 0; i < 100; i++) {
		ck_assert(board_wakes_take_address(board, address, NOW, 1, &by_address, &wait));
		ck_assert(board_wakes_take_service(board, 1, NOW, 1, &by_service, &wait));
		ck_assert(!board_wakes_take_address(board, address, NOW, 1, &other, &wait));
		board_wakes_give(by_address, 1);
		board_wakes_give(by_service, 1);
	}
	ck_assert(board_wakes_take_address(board, address, NOW, 1, &other, &wait));
	board_wakes_give(NULL, 0);
}
END_TEST

/* A lower bound, a higher one, and what a worker gone wrong wrote: none holds anybody for longer
 * than a minute and a bit. */
START_TEST(a_changed_bound_heals)
{
	uint64_t wait = 0;

	for (int i = 0; i < 1000; i++)
		ck_assert(take_service(1, NOW, 1000, &wait));
	ck_assert(!take_service(1, NOW, 1, &wait));
	ck_assert_uint_le(wait, MINUTE);
	ck_assert(take_service(1, NOW + MINUTE, 1, &wait));
	ck_assert(!take_service(1, NOW + MINUTE, 10000, &wait));
	ck_assert(take_service(1, NOW + 2 * MINUTE, 10000, &wait));
	atomic_store(&board->service_wakes[1], UINT64_MAX);
	ck_assert(take_service(1, NOW, 1, &wait));
	ck_assert(!take_service(1, NOW, 1, &wait));
	ck_assert_uint_le(wait, MINUTE);
}
END_TEST

/* More addresses than there is room for are let in, and room is made when their time is over. Here,
 * where each place is looked at by many, a few have the tag of another. */
START_TEST(more_than_there_is_room_for)
{
	uint8_t address[16] = { 0 };
	uint64_t wait;

	for (uint64_t round = 0; round < 2; round++) {
		uint32_t uncounted = 0, refused = 0;

		for (uint32_t i = 0; i < 2 * BOARD_PEERS; i++) {
			_Atomic uint64_t *place;

			address[0] = (uint8_t)i;
			address[1] = (uint8_t)(i >> 8);
			address[2] = (uint8_t)(i >> 16);
			address[3] = (uint8_t)round;
			if (!board_wakes_take_address(
				    board, address, NOW + round * MINUTE, 1, &place, &wait))
				refused++;
			else
				uncounted += !place;
		}
		ck_assert_uint_lt(refused, 10);
		ck_assert_uint_ge(uncounted + refused, BOARD_PEERS);
		ck_assert_uint_lt(uncounted, BOARD_PEERS + BOARD_PEERS / 16);
	}
}
END_TEST

static atomic_uint admitted;

static void *taker(void *data)
{
	uint64_t wait;

	for (int i = 0; i < 1000; i++)
		if (take("::ffff:192.0.2.1", NOW, 5000, &wait) && take_service(9, NOW, 3000, &wait))
			atomic_fetch_add(&admitted, 1);
	return data;
}

START_TEST(threads_are_held_to_it_together)
{
	pthread_t threads[THREADS];
	uint64_t wait;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, taker, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(atomic_load(&admitted), 3000);
	ck_assert(!take("::ffff:192.0.2.1", NOW, 5000, &wait));
}
END_TEST

/* ---- claims ---- */

START_TEST(one_of_many_has_the_claim)
{
	uint64_t mark, other;

	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &mark), WAKE_CLAIM_MINE);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &other), WAKE_CLAIM_BUSY);
	ck_assert_int_eq(board_wake_claim(board, SLOT + 1, NOW, &other), WAKE_CLAIM_MINE);
	board_wake_grant(board, SLOT, mark);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &other), WAKE_CLAIM_JOINED);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW + MINUTE, &other), WAKE_CLAIM_JOINED);
	board_wake_unclaim(board, SLOT);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &mark), WAKE_CLAIM_MINE);
	board_wake_let_go(board, SLOT, mark);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &mark), WAKE_CLAIM_MINE);
	board_slot_clear(board, SLOT);
	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &mark), WAKE_CLAIM_MINE);
}
END_TEST

START_TEST(a_claim_of_the_dead_is_taken_over)
{
	uint64_t dead, mark, other;

	ck_assert_int_eq(board_wake_claim(board, SLOT, NOW, &dead), WAKE_CLAIM_MINE);
	ck_assert_int_eq(
		board_wake_claim(board, SLOT, NOW + WAKE_CLAIM_MS - 1, &mark), WAKE_CLAIM_BUSY);
	ck_assert_int_eq(
		board_wake_claim(board, SLOT, NOW + WAKE_CLAIM_MS, &mark), WAKE_CLAIM_MINE);
	/* It was not dead, only slow: that changes nothing any more. */
	board_wake_grant(board, SLOT, dead);
	board_wake_let_go(board, SLOT, dead);
	ck_assert_int_eq(
		board_wake_claim(board, SLOT, NOW + WAKE_CLAIM_MS, &other), WAKE_CLAIM_BUSY);
	board_wake_grant(board, SLOT, mark);
	ck_assert_int_eq(
		board_wake_claim(board, SLOT, NOW + WAKE_CLAIM_MS, &other), WAKE_CLAIM_JOINED);
}
END_TEST

static atomic_uint claims;

static void *claimer(void *data)
{
	uint64_t mark;

	for (int i = 0; i < 1000; i++)
		atomic_fetch_add(&claims,
			board_wake_claim(board, (uint32_t)i, NOW, &mark) == WAKE_CLAIM_MINE);
	return data;
}

START_TEST(threads_have_one_claim_each)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, claimer, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(atomic_load(&claims), 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("board_wakes");
	TCase *tests = tcase_create("board_wakes");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, so_many_at_once_and_then_evenly);
	tcase_add_test(tests, a_64_is_one_address);
	tcase_add_test(tests, services_are_counted_apart);
	tcase_add_test(tests, what_is_given_back_may_be_taken_again);
	tcase_add_test(tests, a_changed_bound_heals);
	tcase_add_test(tests, more_than_there_is_room_for);
	tcase_add_test(tests, threads_are_held_to_it_together);
	tcase_add_test(tests, one_of_many_has_the_claim);
	tcase_add_test(tests, a_claim_of_the_dead_is_taken_over);
	tcase_add_test(tests, threads_have_one_claim_each);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
