/* What the workers share on the board, and what becomes of it when one dies. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board_peers.h"
#include "check_often.h"
#include "limit.h"

#define SLOT    77
#define THREADS 8

static struct board *board;
static int fd;
static struct ten_error err;

static void setup(void)
{
	ck_assert_msg(board_create(&board, &fd, &err) == 0, "%s", err.text);
	for (uint32_t i = 0; i < 4; i++)
		board_worker_enter(board, i);
}

static void teardown(void)
{
	board_close(board);
	close(fd);
}

static void clear(uint32_t worker)
{
	ck_assert_msg(board_worker_clear(board, fd, worker, &err) == 0, "%s", err.text);
}

/* ---- slots ---- */

START_TEST(what_a_dead_worker_held_is_given_back)
{
	struct board_slot *slot = &board->slots[SLOT];
	struct board_cell *cells[] = { &board->cells[0][SLOT], &board->cells[3][SLOT] };

	for (int i = 0; i < 5; i++) {
		struct board_cell *cell = cells[i % 2];

		ck_assert(limit_count_take(&slot->admitted, &cell->admitted, 10));
		ck_assert(limit_count_take(&slot->queued, &cell->queued, 10));
		ck_assert(limit_count_take(&slot->connections, &cell->connections, 10));
	}
	clear(0);
	ck_assert_uint_eq(atomic_load(&slot->admitted), 2);
	ck_assert_uint_eq(atomic_load(&slot->queued), 2);
	ck_assert_uint_eq(atomic_load(&slot->connections), 2);
	clear(0);
	ck_assert_uint_eq(atomic_load(&slot->admitted), 2);
	/* A worker that has put down more than there is takes no more than there is. */
	atomic_store(&cells[1]->admitted, UINT32_MAX);
	clear(3);
	ck_assert_uint_eq(atomic_load(&slot->admitted), 0);
	ck_assert_uint_eq(atomic_load(&slot->queued), 0);
	ck_assert_uint_eq(atomic_load(&slot->connections), 0);
}
END_TEST

static void count_some(uint32_t worker, uint64_t n)
{
	struct board_cell *cell = &board->cells[worker][SLOT];

	atomic_fetch_add(&cell->requests, n);
	atomic_fetch_add(&cell->bytes_in, 2 * n);
	atomic_fetch_add(&cell->bytes_out, 3 * n);
	atomic_fetch_add(&cell->failures, (uint32_t)(4 * n));
	atomic_fetch_add(&board->workers[worker].requests, 5 * n);
	atomic_fetch_add(&board->workers[worker].refusals[BOARD_REFUSED_RATE], 6 * n);
}

static void expect_sums(uint64_t n)
{
	struct board_use use;
	struct board_work work;

	board_use(board, SLOT, &use);
	board_work(board, &work);
	ck_assert_uint_eq(use.requests, n);
	ck_assert_uint_eq(use.bytes_in, 2 * n);
	ck_assert_uint_eq(use.bytes_out, 3 * n);
	ck_assert_uint_eq(use.failures, 4 * n);
	ck_assert_uint_eq(work.requests, 5 * n);
	ck_assert_uint_eq(work.refusals[BOARD_REFUSED_RATE], 6 * n);
	ck_assert_uint_eq(work.refusals[BOARD_REFUSED_DOWN], 0);
}

START_TEST(sums_do_not_go_backwards)
{
	uint64_t settled = board_settled(board);

	ck_assert_uint_ne(settled, 0);
	count_some(0, 10);
	count_some(1, 100);
	expect_sums(110);
	for (int i = 0; i < 3; i++) {
		clear(1);
		expect_sums(110);
	}
	ck_assert_uint_ne(board_settled(board), settled);
	count_some(1, 1000);
	clear(1);
	clear(0);
	expect_sums(1110);
	/* Killed while it carried over: the next one ends it. */
	atomic_fetch_or(&board->workers[1].clearings, 1);
	ck_assert_uint_eq(board_settled(board), 0);
	clear(1);
	ck_assert_uint_ne(board_settled(board), 0);
}
END_TEST

START_TEST(a_new_tenant_begins_at_nothing)
{
	struct board_slot *slot = &board->slots[SLOT];
	struct board_cell *cell = &board->cells[1][SLOT];
	uint64_t wait;

	atomic_store(&board->workers[1].pid, 1);
	count_some(0, 10);
	count_some(1, 100);
	clear(0);
	atomic_fetch_add(&slot->refusals[BOARD_REFUSED_RATE], 5);
	ck_assert(limit_rate_take(&slot->rate_at_ns, 1000, 1000000, 1, &wait));
	ck_assert(!limit_rate_take(&slot->rate_at_ns, 1000, 1000000, 1, &wait));
	board_enter(cell);
	ck_assert(limit_count_take(&slot->connections, &cell->connections, 10));
	board_slot_clear(board, SLOT);
	ck_assert_uint_eq(atomic_load(&slot->refusals[BOARD_REFUSED_RATE]), 0);
	ck_assert(limit_rate_take(&slot->rate_at_ns, 1000, 1000000, 1, &wait));
	/* Who held something of the old one gives it back still. */
	ck_assert_uint_eq(atomic_load(&cell->in_flight), 1);
	ck_assert_uint_eq(atomic_load(&slot->connections), 1);
	limit_count_give(&slot->connections, &cell->connections);
	ck_assert_uint_eq(atomic_load(&slot->connections), 0);
	ck_assert_uint_eq(atomic_load(&cell->requests), 0);
	ck_assert_uint_eq(atomic_load(&slot->carried_requests), 0);
}
END_TEST

START_TEST(each_reason_has_a_name)
{
	for (int i = 0; i < BOARD_REFUSALS; i++) {
		ck_assert_ptr_nonnull(board_refusal_names[i]);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(board_refusal_names[i], board_refusal_names[j]);
	}
}
END_TEST

/* ---- addresses ---- */

struct address {
	uint8_t bytes[16];
};

static struct address v4(uint32_t number)
{
	struct address address = { { [10] = 0xff, [11] = 0xff } };

	memcpy(address.bytes + 12, &number, sizeof(number));
	return address;
}

static struct address v6(uint32_t network, uint32_t host)
{
	struct address address = { { 0x20, 0x01, 0x0d, 0xb8 } };

	memcpy(address.bytes + 4, &network, sizeof(network));
	memcpy(address.bytes + 12, &host, sizeof(host));
	return address;
}

static bool take(uint32_t worker, struct address address, uint32_t most, uint32_t *place)
{
	return board_peers_take(board, worker, address.bytes, most, place);
}

START_TEST(addresses_are_counted_apart)
{
	uint32_t a, b, other;

	ck_assert(!take(0, v4(1), 0, &other));
	ck_assert(take(0, v4(1), 2, &a));
	ck_assert(take(3, v4(1), 2, &b));
	ck_assert_uint_eq(a, b);
	ck_assert(!take(1, v4(1), 2, &other));
	ck_assert(take(1, v4(1), 3, &other));
	ck_assert(take(1, v4(2), 1, &other));
	ck_assert_uint_ne(a, other);
	ck_assert(!take(0, v4(2), 1, &b));
	board_peers_give(board, 0, a);
	board_peers_give(board, 3, a);
	ck_assert(take(1, v4(1), 2, &b));
	ck_assert_uint_eq(a, b);
	ck_assert_uint_eq(board_peers_sum(board), 3);
}
END_TEST

START_TEST(a_64_is_one_address)
{
	uint32_t a, b;

	ck_assert(take(0, v6(1, 1), 1, &a));
	ck_assert(!take(0, v6(1, 2), 1, &b));
	ck_assert(!take(0, v6(1, UINT32_MAX), 1, &b));
	ck_assert(take(0, v6(2, 1), 1, &b));
	ck_assert_uint_ne(a, b);
}
END_TEST

/* With another key the same addresses lie elsewhere. */
START_TEST(places_cannot_be_foretold)
{
	struct board *other;
	uint32_t same = 0, a, b;
	int other_fd;

	ck_assert_msg(board_create(&other, &other_fd, &err) == 0, "%s", err.text);
	for (uint32_t i = 0; i < 100; i++) {
		ck_assert(take(0, v4(i), 1, &a));
		ck_assert(board_peers_take(other, 0, v4(i).bytes, 1, &b));
		same += a == b;
	}
	ck_assert_uint_lt(same, 5);
	board_close(other);
	close(other_fd);
}
END_TEST

/* Places of those who are gone are given to others; and those who stay find theirs. */
START_TEST(many_come_and_go)
{
	static uint32_t places[200];
	uint32_t place;

	for (uint32_t i = 0; i < 200; i++)
		ck_assert(take(1, v4(i), 1, &places[i]));
	for (uint32_t i = 1000; i < 1000 + 4 * BOARD_PEERS; i++) {
		ck_assert(take(0, v4(i), 1, &place));
		ck_assert_uint_ne(place, BOARD_PEER_NONE);
		ck_assert(!take(2, v4(i), 1, &(uint32_t){ 0 }));
		board_peers_give(board, 0, place);
	}
	for (uint32_t i = 0; i < 200; i++)
		ck_assert(!take(0, v4(i), 1, &place));
	ck_assert_uint_eq(board_peers_sum(board), 200);
	for (uint32_t i = 0; i < 200; i++)
		board_peers_give(board, 1, places[i]);
	ck_assert_uint_eq(board_peers_sum(board), 0);
}
END_TEST

/* More than there is room for: let in, uncounted, and nobody else is counted wrongly. */
START_TEST(more_than_there_is_room_for)
{
	uint32_t uncounted = 0, counted = 0, place;

	for (uint32_t i = 0; i < 2 * BOARD_PEERS; i++) {
		ck_assert(take(0, v4(i), 1, &place));
		uncounted += place == BOARD_PEER_NONE;
		counted += place != BOARD_PEER_NONE;
	}
	ck_assert_uint_gt(counted, BOARD_PEERS * 3 / 4);
	ck_assert_uint_gt(uncounted, BOARD_PEERS / 2);
	ck_assert_uint_eq(board_peers_sum(board), counted);
	clear(0);
	ck_assert_uint_eq(board_peers_sum(board), 0);
	ck_assert(take(0, v4(2 * BOARD_PEERS - 1), 1, &place));
	ck_assert_uint_ne(place, BOARD_PEER_NONE);
}
END_TEST

#define ADDRESSES 20
#define MOST      7

static _Atomic int32_t held[ADDRESSES];
static _Atomic bool too_many;
static pthread_barrier_t start;

static void *peers_work(void *data)
{
	uint32_t worker = (uint32_t)(size_t)data;
	unsigned seed = worker + 1;
	uint32_t places[ADDRESSES][MOST], count[ADDRESSES] = { 0 };

	pthread_barrier_wait(&start);
	for (int i = 0; i < 100000; i++) {
		uint32_t n = (uint32_t)rand_r(&seed) % ADDRESSES;

		if (count[n] && rand_r(&seed) % 2) {
			atomic_fetch_sub(&held[n], 1);
			board_peers_give(board, worker, places[n][--count[n]]);
		} else if (take(worker, v4(n), MOST, &places[n][count[n]])) {
			if (atomic_fetch_add(&held[n], 1) >= MOST)
				atomic_store(&too_many, true);
			count[n]++;
		}
	}
	for (uint32_t n = 0; n < ADDRESSES; n++)
		while (count[n]) {
			atomic_fetch_sub(&held[n], 1);
			board_peers_give(board, worker, places[n][--count[n]]);
		}
	return NULL;
}

START_TEST(threads_are_held_to_it_together)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&start, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, peers_work, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert(!atomic_load(&too_many));
	ck_assert_uint_eq(board_peers_sum(board), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		for (uint32_t place = 0; place < BOARD_PEERS; place++)
			ck_assert_uint_eq(atomic_load(&board->peer_ledgers[i][place]), 0);
}
END_TEST

/* ---- processes that are killed at any instruction ---- */

static void churn(uint32_t worker, _Atomic uint32_t *turns)
{
	struct board_slot *slot = &board->slots[SLOT];
	struct board_cell *cell = &board->cells[worker][SLOT];

	for (;;) {
		uint32_t places[3], taken = 0;

		for (uint32_t i = 0; i < 3; i++)
			taken += take(worker, v4(i % 2), 100, &places[taken]);
		for (int i = 0; i < 2; i++)
			limit_count_take(&slot->admitted, &cell->admitted, 100);
		while (atomic_load(&cell->admitted))
			limit_count_give(&slot->admitted, &cell->admitted);
		while (taken)
			board_peers_give(board, worker, places[--taken]);
		atomic_fetch_add(turns, 1);
	}
}

static pid_t churn_start(uint32_t worker, _Atomic uint32_t *turns)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid)
		churn(worker, turns);
	return pid;
}

/* Whatever instruction it dies at, nothing is left counted, and nobody alive loses what it holds
 * but for the one in that window. */
START_TEST(killed_processes_leave_nothing)
{
	_Atomic uint32_t *turns =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct board_slot *slot = &board->slots[SLOT];
	struct board_cell *mine = &board->cells[9][SLOT];
	uint32_t place, lost = 0;

	for (uint32_t round = 0; round < 60; round++) {
		pid_t pids[2];

		for (uint32_t i = 0; i < 2; i++)
			pids[i] = churn_start(i, turns);
		for (uint32_t seen = atomic_load(turns); atomic_load(turns) < seen + 500 + round;)
			;
		for (uint32_t i = 0; i < 2; i++) {
			kill(pids[i], SIGKILL);
			ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
			clear(i);
		}
		ck_assert_uint_eq(atomic_load(&slot->admitted), 0);
		ck_assert_uint_eq(board_peers_sum(board), 0);
	}
	ck_assert(limit_count_take(&slot->admitted, &mine->admitted, 100));
	ck_assert(take(9, v4(0), 100, &place));
	for (uint32_t round = 0; round < 30; round++) {
		pid_t pid = churn_start(0, turns);

		for (uint32_t seen = atomic_load(turns); atomic_load(turns) < seen + 500 + round;)
			;
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		clear(0);
		ck_assert_uint_le(atomic_load(&slot->admitted), 1);
		lost += 1 - atomic_load(&slot->admitted);
		atomic_store(&slot->admitted, 1);
	}
	ck_assert_uint_lt(lost, 15);
	munmap(turns, 4096);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("board_limits");
	TCase *tests = tcase_create("board_limits");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_a_dead_worker_held_is_given_back);
	tcase_add_test(tests, sums_do_not_go_backwards);
	tcase_add_test(tests, a_new_tenant_begins_at_nothing);
	tcase_add_test(tests, each_reason_has_a_name);
	tcase_add_test(tests, addresses_are_counted_apart);
	tcase_add_test(tests, a_64_is_one_address);
	tcase_add_test(tests, places_cannot_be_foretold);
	tcase_add_test(tests, many_come_and_go);
	tcase_add_test(tests, more_than_there_is_room_for);
	tcase_add_test(tests, threads_are_held_to_it_together);
	tcase_add_test(tests, killed_processes_leave_nothing);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
