#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "mem.h"

#define WORKERS 4
#define SLOT    77

static struct board *board;
static int fd;
static struct ten_error err;

static void setup(void)
{
	ck_assert_msg(board_create(&board, &fd, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	board_close(board);
	close(fd);
}

static void fill_cell(uint32_t worker, uint32_t slot, uint32_t n)
{
	struct board_cell *cell = &board->cells[worker][slot];

	atomic_store(&cell->in_flight, n);
	atomic_store(&cell->upgraded, n * 2);
	atomic_store(&cell->waiting, n * 3);
	atomic_store(&cell->failures, n * 4);
	atomic_store(&cell->last_used_ms, n * 5ull);
	atomic_store(&cell->requests, n * 6ull);
	atomic_store(&cell->bytes_in, n * 7ull);
	atomic_store(&cell->bytes_out, n * 8ull);
}

/* Of the first WORKERS workers. */
static struct board_use use_of(uint32_t workers, uint32_t slot)
{
	struct board_use use;

	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		if (i < workers)
			board_worker_enter(board, i);
		else
			board_worker_leave(board, i);
	}
	board_use(board, slot, &use);
	return use;
}

static const struct board_use unused;

START_TEST(sums)
{
	struct board_use use;

	fill_cell(0, SLOT, 1);
	fill_cell(1, SLOT, 100);
	fill_cell(2, SLOT, 10);
	fill_cell(3, SLOT, 1000);
	fill_cell(0, SLOT + 1, 5);
	use = use_of(3, SLOT);
	ck_assert_uint_eq(use.in_flight, 111);
	ck_assert_uint_eq(use.upgraded, 222);
	ck_assert_uint_eq(use.waiting, 333);
	ck_assert_uint_eq(use.failures, 444);
	ck_assert_uint_eq(use.last_used_ms, 500);
	ck_assert_uint_eq(use.requests, 666);
	ck_assert_uint_eq(use.bytes_in, 777);
	ck_assert_uint_eq(use.bytes_out, 888);
	use = use_of(0, SLOT);
	ck_assert_mem_eq(&use, &unused, sizeof(use));
	use = use_of(3, SLOT - 1);
	ck_assert_mem_eq(&use, &unused, sizeof(use));
}
END_TEST

/* Numbers that a worker could have made up are summed without wrapping round. */
START_TEST(outside_and_extremes)
{
	struct board_use use;

	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++)
		atomic_store(&board->cells[i][ROUTE_SLOTS_MAX - 1].in_flight, UINT32_MAX);
	use = use_of(UINT32_MAX, ROUTE_SLOTS_MAX - 1);
	ck_assert_uint_eq(use.in_flight, (uint64_t)UINT32_MAX * BOARD_WORKERS_MAX);
	use = use_of(WORKERS, ROUTE_SLOTS_MAX);
	ck_assert_mem_eq(&use, &unused, sizeof(use));
	use = use_of(WORKERS, UINT32_MAX);
	ck_assert_mem_eq(&use, &unused, sizeof(use));
}
END_TEST

START_TEST(enter_and_leave)
{
	struct board_cell *cell = &board->cells[2][SLOT];

	board_enter(cell);
	board_enter(cell);
	ck_assert_uint_eq(use_of(WORKERS, SLOT).in_flight, 2);
	board_leave(cell, 12345);
	ck_assert_uint_eq(use_of(WORKERS, SLOT).in_flight, 1);
	ck_assert_uint_eq(use_of(WORKERS, SLOT).last_used_ms, 12345);
	board_leave(cell, 12346);
	ck_assert_uint_eq(use_of(WORKERS, SLOT).in_flight, 0);
}
END_TEST

START_TEST(want)
{
	static const uint32_t slots[] = { 0, 1, 63, 64, 127, ROUTE_SLOTS_MAX - 1 };
	struct board_worker *worker = &board->workers[1];
	uint32_t bits = 0;

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		board_want(worker, slots[i]);
		board_want(worker, slots[i]);
		ck_assert_uint_eq(
			atomic_load(&worker->wanted[slots[i] / 64]) >> slots[i] % 64 & 1, 1);
	}
	for (uint32_t i = 0; i < ROUTE_SLOTS_MAX / 64; i++)
		bits += (uint32_t)__builtin_popcountll(atomic_load(&worker->wanted[i]));
	ck_assert_uint_eq(bits, sizeof(slots) / sizeof(slots[0]));
	ck_assert_uint_eq(atomic_exchange(&worker->wanted[0], 0), 1ull << 63 | 3);
	ck_assert_uint_eq(atomic_load(&board->workers[0].wanted[0]), 0);
	ck_assert_uint_eq(atomic_load(&board->workers[2].wanted[0]), 0);
}
END_TEST

static void fill_worker(uint32_t worker)
{
	struct board_worker *page = &board->workers[worker];

	fill_cell(worker, 0, 1);
	fill_cell(worker, SLOT, 2);
	fill_cell(worker, ROUTE_SLOTS_MAX - 1, 3);
	atomic_store(&page->acknowledged, 9);
	atomic_store(&page->pid, 9);
	atomic_store(&page->clients, 9);
	atomic_store(&page->requests, 9);
	atomic_store(&page->refusals[BOARD_REFUSED_DOWN], 9);
	atomic_store(&page->asks[BOARD_ASKS_MAX - 1].state, BOARD_ASK_ASKED);
	board_want(page, SLOT);
	board_want(page, ROUTE_SLOTS_MAX - 1);
}

static bool worker_is_clear(uint32_t worker)
{
	struct board_worker *page = &board->workers[worker];
	static const uint32_t slots[] = { 0, SLOT, ROUTE_SLOTS_MAX - 1 };
	bool clear = true;

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		static const struct board_cell empty;
		const struct board_cell *cell = &board->cells[worker][slots[i]];

		clear = clear && memcmp(cell, &empty, sizeof(empty)) == 0;
	}
	return clear && !atomic_load(&page->acknowledged) && !atomic_load(&page->pid) &&
	       !atomic_load(&page->clients) && !atomic_load(&page->requests) &&
	       !atomic_load(&page->refusals[BOARD_REFUSED_DOWN]) &&
	       atomic_load(&page->asks[BOARD_ASKS_MAX - 1].state) == BOARD_ASK_FREE &&
	       !atomic_load(&page->wanted[SLOT / 64]) &&
	       !atomic_load(&page->wanted[ROUTE_SLOTS_MAX / 64 - 1]);
}

START_TEST(clear_is_of_one_worker)
{
	static const uint32_t cleared[] = { 0, 2, BOARD_WORKERS_MAX - 1 };
	struct stat before, after;

	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++)
		fill_worker(i);
	for (uint32_t slot = 0; slot < ROUTE_SLOTS_MAX; slot += 4096 / sizeof(struct board_cell))
		atomic_store(&board->cells[2][slot].waiting, 4);
	atomic_store(&board->picks[5], 42);
	ck_assert_int_eq(fstat(fd, &before), 0);
	for (size_t i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++)
		ck_assert_msg(board_worker_clear(board, fd, cleared[i], &err) == 0, "%s", err.text);
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(after.st_size, before.st_size);
	/* The eight megabytes of worker 2 went, not only became zeros. */
	ck_assert_int_ge(lseek(fd, offsetof(struct board, cells[2]), SEEK_DATA),
		offsetof(struct board, cells[3]));
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		bool clear = i == 0 || i == 2 || i == BOARD_WORKERS_MAX - 1;

		ck_assert_msg(worker_is_clear(i) == clear, "worker %u", i);
		ck_assert_uint_eq(atomic_load(&board->cells[i][ROUTE_SLOTS_MAX - 1].in_flight),
			clear ? 0 : 3);
	}
	ck_assert_uint_eq(atomic_load(&board->picks[5]), 42);
	ck_assert_int_lt(board_worker_clear(board, fd, BOARD_WORKERS_MAX, &err), 0);
	ck_assert_int_eq(err.code, EINVAL);
	ck_assert_int_lt(board_worker_clear(board, fd, UINT32_MAX, &err), 0);
}
END_TEST

/* Totals outlive the worker that counted them, what was so of it then and there does not. */
START_TEST(the_past_is_kept)
{
	struct board_use use;

	fill_cell(1, SLOT, 1);
	fill_cell(1, ROUTE_SLOTS_MAX - 1, 7);
	fill_cell(2, SLOT, 10);
	ck_assert_msg(board_worker_clear(board, fd, 2, &err) == 0, "%s", err.text);
	ck_assert_msg(board_worker_clear(board, fd, 2, &err) == 0, "%s", err.text);
	use = use_of(2, SLOT);
	ck_assert_uint_eq(use.in_flight, 1);
	ck_assert_uint_eq(use.upgraded, 2);
	ck_assert_uint_eq(use.waiting, 3);
	ck_assert_uint_eq(use.failures, 44);
	ck_assert_uint_eq(use.last_used_ms, 50);
	ck_assert_uint_eq(use.requests, 66);
	ck_assert_uint_eq(use.bytes_in, 77);
	ck_assert_uint_eq(use.bytes_out, 88);
	ck_assert_msg(board_worker_clear(board, fd, 1, &err) == 0, "%s", err.text);
	use = use_of(WORKERS, SLOT);
	ck_assert_uint_eq(use.in_flight, 0);
	ck_assert_uint_eq(use.waiting, 0);
	ck_assert_uint_eq(use.requests, 66);
	ck_assert_uint_eq(use.last_used_ms, 50);
	use = use_of(0, ROUTE_SLOTS_MAX - 1);
	ck_assert_uint_eq(use.requests, 42);
}
END_TEST

/* What the daemon writes a worker reads, by mappings of the same descriptor. */
START_TEST(shared)
{
	struct board *other;

	ck_assert_msg(board_open(&other, fd, &err) == 0, "%s", err.text);
	board_enter(&other->cells[3][SLOT]);
	ck_assert_uint_eq(use_of(WORKERS, SLOT).in_flight, 1);
	board_close(other);
	board_close(NULL);
	ck_assert_int_lt(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(ftruncate(fd, (off_t)sizeof(struct board) + 4096), 0);
}
END_TEST

START_TEST(another_version_or_size_is_refused)
{
	autoclose int memory = memfd_create("test", MFD_CLOEXEC);
	struct board *other;
	uint32_t version;

	ck_assert_int_eq(ftruncate(memory, (off_t)sizeof(struct board) - 4096), 0);
	ck_assert_int_lt(board_open(&other, memory, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "bytes, want"));
	ck_assert_int_eq(ftruncate(memory, (off_t)sizeof(struct board)), 0);
	ck_assert_int_lt(board_open(&other, memory, &err), 0);
	ck_assert_msg(strstr(err.text, "version 0, this program reads version 7") != NULL, "%s",
		err.text);
	version = BOARD_VERSION + 1;
	ck_assert_int_eq(pwrite(fd, &version, sizeof(version), offsetof(struct board, version)),
		sizeof(version));
	ck_assert_int_lt(board_open(&other, fd, &err), 0);
	ck_assert_msg(strstr(err.text, "version 8, this program reads version 7") != NULL, "%s",
		err.text);
	ck_assert_int_lt(board_open(&other, -1, &err), 0);
	ck_assert_int_eq(err.code, EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("board");
	TCase *tests = tcase_create("board");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, sums);
	tcase_add_test(tests, outside_and_extremes);
	tcase_add_test(tests, enter_and_leave);
	tcase_add_test(tests, want);
	tcase_add_test(tests, clear_is_of_one_worker);
	tcase_add_test(tests, the_past_is_kept);
	tcase_add_test(tests, shared);
	tcase_add_test(tests, another_version_or_size_is_refused);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
