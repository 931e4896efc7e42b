#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board_peers.h"
#include "limit.h"
#include "mem.h"

#define BOARD_MAGIC 0x31647261626e6574ull

const char *const board_refusal_names[BOARD_REFUSALS] = {
	[BOARD_REFUSED_BAD_REQUEST] = "bad_request",
	[BOARD_REFUSED_UNKNOWN_HOST] = "unknown_host",
	[BOARD_REFUSED_QUEUE_FULL] = "wake_queue",
	[BOARD_REFUSED_WAKE_TIMEOUT] = "wake_timeout",
	[BOARD_REFUSED_DOWN] = "down",
	[BOARD_REFUSED_UPSTREAM] = "upstream",
	[BOARD_REFUSED_UPSTREAM_SLOW] = "request_timeout",
	[BOARD_REFUSED_PEER] = "wrong_peer",
	[BOARD_REFUSED_TOO_LARGE] = "too_large",
	[BOARD_REFUSED_OVERLOAD] = "overload",
	[BOARD_REFUSED_RATE] = "rate_limit",
	[BOARD_REFUSED_CONCURRENT] = "max_concurrent",
	[BOARD_REFUSED_CONNECTIONS] = "max_connections",
	[BOARD_REFUSED_CONNECTIONS_PER_IP] = "max_connections_per_ip",
	[BOARD_REFUSED_NO_WAKE] = "no_wake",
	[BOARD_REFUSED_WAKES_PER_IP] = "max_wakes_per_minute_per_ip",
	[BOARD_REFUSED_WAKES] = "max_wakes_per_minute",
	[BOARD_ANSWERED_ASLEEP] = "health_while_asleep",
	[BOARD_REFUSED_NO_ROOM] = "no_room",
};

int board_open(struct board **board, int fd, struct ten_error *err)
{
	struct board *mapped;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "board");
	if (st.st_size != (off_t)sizeof(struct board))
		return ten_error_set(err, 0, "board: %lld bytes, want %zu", (long long)st.st_size,
			sizeof(struct board));
	mapped = mmap(
		NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (mapped == MAP_FAILED)
		return ten_error_set(err, errno, "board: mmap");
	madvise(mapped, sizeof(*mapped), MADV_DONTDUMP);
	if (mapped->magic != BOARD_MAGIC || mapped->version != BOARD_VERSION) {
		ten_error_set(err, 0,
			"board: version %u, this program reads version %d; restart the programs "
			"together",
			mapped->version, BOARD_VERSION);
		munmap(mapped, sizeof(*mapped));
		return -1;
	}
	*board = mapped;
	return 0;
}

int board_create(struct board **board, int *fd, struct ten_error *err)
{
	autoclose int memory = memfd_create("tenement-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct {
		uint64_t magic;
		uint32_t version;
		uint32_t reserved;
		uint64_t peer_key[2];
	} head = { .magic = BOARD_MAGIC, .version = BOARD_VERSION };

	if (memory < 0)
		return ten_error_set(err, errno, "board: memfd_create");
	if (getrandom(head.peer_key, sizeof(head.peer_key), 0) != (ssize_t)sizeof(head.peer_key))
		return ten_error_set(err, errno, "board: getrandom");
	/* Workers write it by the descriptor they are given; nobody else opens it, or seals it
	 * more. */
	if (fchmod(memory, 0600) < 0 || ftruncate(memory, sizeof(struct board)) < 0 ||
		fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
		pwrite(memory, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return ten_error_set(err, errno, "board");
	if (board_open(board, memory, err) < 0)
		return -1;
	*fd = fd_steal(&memory);
	return 0;
}

void board_close(struct board *board)
{
	if (board)
		munmap(board, sizeof(*board));
}

/* ---- what a dead worker left ---- */

static void carry(_Atomic uint64_t *to, _Atomic uint64_t *from)
{
	uint64_t had = atomic_exchange(from, 0);

	if (had)
		atomic_fetch_add(to, had);
}

static void cell_take_back(struct board_slot *slot, struct board_cell *cell)
{
	uint32_t failures = atomic_exchange(&cell->failures, 0);
	uint64_t last = atomic_exchange(&cell->last_used_ms, 0);

	limit_count_subtract(&slot->admitted, atomic_exchange(&cell->admitted, 0));
	limit_count_subtract(&slot->queued, atomic_exchange(&cell->queued, 0));
	limit_count_subtract(&slot->connections, atomic_exchange(&cell->connections, 0));
	if (failures)
		atomic_fetch_add(&slot->carried_failures, failures);
	if (last > atomic_load(&slot->carried_last_used_ms))
		atomic_store(&slot->carried_last_used_ms, last);
	carry(&slot->carried_requests, &cell->requests);
	carry(&slot->carried_bytes_in, &cell->bytes_in);
	carry(&slot->carried_bytes_out, &cell->bytes_out);
}

static void cells_take_back(struct board *board, uint32_t worker, uint64_t first, uint64_t end)
{
	for (uint64_t slot = first; slot < end; slot++) {
		static const struct board_cell untouched;
		struct board_cell *cell = &board->cells[worker][slot];

		if (memcmp(cell, &untouched, sizeof(untouched)) != 0)
			cell_take_back(&board->slots[slot], cell);
	}
}

static void answers_take_back(struct board *board, uint32_t worker, uint64_t first, uint64_t end)
{
	for (uint64_t slot = first; slot < end; slot++) {
		struct board_answers *from = &board->answers[worker][slot];
		struct board_answers *to = &board->carried_answers[slot];

		carry(&to->took_us, &from->took_us);
		for (unsigned i = 0; i < BOARD_CODES; i++)
			carry(&to->codes[i], &from->codes[i]);
		for (unsigned i = 0; i < BOARD_TIMES; i++)
			carry(&to->times[i], &from->times[i]);
	}
}

static void peers_take_back(struct board *board, uint32_t worker, uint64_t first, uint64_t end)
{
	for (uint64_t place = first; place < end; place++)
		board_peers_subtract(board, (uint32_t)place,
			atomic_exchange(&board->peer_ledgers[worker][place], 0));
}

/* Have TAKE_BACK look at those of the COUNT members of SIZE bytes at offset AT that were ever
 * written, and make a hole of them. Looking at holes would fill them. */
static int region_clear(struct board *board, int fd, uint32_t worker, off_t at, size_t size,
	size_t count,
	void (*take_back)(struct board *board, uint32_t worker, uint64_t first, uint64_t end))
{
	off_t end = at + (off_t)(size * count);
	off_t data = at, hole;

	while ((data = lseek(fd, data, SEEK_DATA)) >= 0 && data < end) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || hole > end)
			hole = end;
		/* One may lie across the end. */
		take_back(board, worker, (uint64_t)(data - at) / size,
			((uint64_t)(hole - at) + size - 1) / size);
		data = hole;
	}
	if (data < 0 && errno != ENXIO)
		return -1;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at);
}

/* Holes are punched rather than zeros written, so that clearing costs and keeps no memory. What
 * is not whole pages of the worker's record is written over. */
int board_worker_clear(struct board *board, int fd, uint32_t worker, struct ten_error *err)
{
	off_t cells = (off_t)offsetof(struct board, cells) +
		      (off_t)worker * (off_t)sizeof(board->cells[0]);
	off_t answers = (off_t)offsetof(struct board, answers) +
			(off_t)worker * (off_t)sizeof(board->answers[0]);
	off_t ledger = (off_t)offsetof(struct board, peer_ledgers) +
		       (off_t)worker * (off_t)sizeof(board->peer_ledgers[0]);
	struct board_worker *page;

	if (worker >= BOARD_WORKERS_MAX)
		return ten_error_set(err, EINVAL, "board: worker %u", worker);
	page = &board->workers[worker];
	atomic_fetch_or(&page->clearings, 1);
	if (region_clear(board, fd, worker, cells, sizeof(struct board_cell), ROUTE_SLOTS_MAX,
		    cells_take_back) < 0 ||
		region_clear(board, fd, worker, answers, sizeof(struct board_answers),
			ROUTE_SLOTS_MAX, answers_take_back) < 0 ||
		region_clear(board, fd, worker, ledger, sizeof(uint32_t), BOARD_PEERS,
			peers_take_back) < 0)
		return ten_error_set(err, errno, "board: clearing worker %u", worker);
	atomic_store(&page->acknowledged, 0);
	atomic_store(&page->pid, 0);
	atomic_store(&page->clients, 0);
	carry(&board->carried_requests, &page->requests);
	for (unsigned i = 0; i < BOARD_REFUSALS; i++)
		carry(&board->carried_refusals[i], &page->refusals[i]);
	for (unsigned i = 0; i < ROUTE_SLOTS_MAX / 64; i++) {
		if (atomic_load_explicit(&page->wanted[i], memory_order_relaxed))
			atomic_store(&page->wanted[i], 0);
	}
	for (unsigned i = 0; i < BOARD_ASKS_MAX; i++)
		atomic_store(&page->asks[i].state, BOARD_ASK_FREE);
	atomic_fetch_add(&page->clearings, 1);
	return 0;
}

/* What is held now is not touched: those who hold it will give it back. */
void board_wake_clear(struct board_wake *wake)
{
	atomic_store(&wake->turn_us, 0);
	atomic_store(&wake->queued, 0);
	atomic_store(&wake->spawned_us, 0);
	atomic_store(&wake->ready_us, 0);
	atomic_store(&wake->first_byte_us, 0);
}

static void answers_clear(struct board_answers *answers)
{
	atomic_store(&answers->took_us, 0);
	for (unsigned i = 0; i < BOARD_CODES; i++)
		atomic_store(&answers->codes[i], 0);
	for (unsigned i = 0; i < BOARD_TIMES; i++)
		atomic_store(&answers->times[i], 0);
}

void board_slot_clear(struct board *board, uint32_t number)
{
	struct board_slot *slot = &board->slots[number];

	board_wake_clear(&board->wakes[number]);
	atomic_store(&slot->rate_at_ns, 0);
	atomic_store(&slot->wake_claim, 0);
	atomic_store(&slot->carried_last_used_ms, 0);
	atomic_store(&slot->carried_failures, 0);
	atomic_store(&slot->carried_requests, 0);
	atomic_store(&slot->carried_bytes_in, 0);
	atomic_store(&slot->carried_bytes_out, 0);
	for (unsigned i = 0; i < BOARD_REFUSALS; i++)
		atomic_store(&slot->refusals[i], 0);
	atomic_fetch_and(&board->touched[number / 64], ~(1ull << (number % 64)));
	answers_clear(&board->carried_answers[number]);
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		struct board_cell *cell = &board->cells[i][number];

		if (!(atomic_load(&board->used) >> i & 1))
			continue;
		atomic_store(&cell->failures, 0);
		atomic_store(&cell->requests, 0);
		atomic_store(&cell->bytes_in, 0);
		atomic_store(&cell->bytes_out, 0);
		answers_clear(&board->answers[i][number]);
	}
}

/* ---- sums ---- */

static void add_use(struct board_use *use, const struct board_cell *cell)
{
	uint64_t last = atomic_load_explicit(&cell->last_used_ms, memory_order_relaxed);

	use->in_flight += atomic_load_explicit(&cell->in_flight, memory_order_seq_cst);
	use->upgraded += atomic_load_explicit(&cell->upgraded, memory_order_seq_cst);
	use->waiting += atomic_load_explicit(&cell->waiting, memory_order_relaxed);
	use->failures += atomic_load_explicit(&cell->failures, memory_order_relaxed);
	use->requests += atomic_load_explicit(&cell->requests, memory_order_relaxed);
	use->bytes_in += atomic_load_explicit(&cell->bytes_in, memory_order_relaxed);
	use->bytes_out += atomic_load_explicit(&cell->bytes_out, memory_order_relaxed);
	if (last > use->last_used_ms)
		use->last_used_ms = last;
}

void board_use(const struct board *board, uint32_t slot, struct board_use *use)
{
	const struct board_slot *shared;

	*use = (struct board_use){ 0 };
	if (slot >= ROUTE_SLOTS_MAX)
		return;
	shared = &board->slots[slot];
	use->failures = atomic_load_explicit(&shared->carried_failures, memory_order_relaxed);
	use->last_used_ms =
		atomic_load_explicit(&shared->carried_last_used_ms, memory_order_relaxed);
	use->requests = atomic_load_explicit(&shared->carried_requests, memory_order_relaxed);
	use->bytes_in = atomic_load_explicit(&shared->carried_bytes_in, memory_order_relaxed);
	use->bytes_out = atomic_load_explicit(&shared->carried_bytes_out, memory_order_relaxed);
	use->queued = atomic_load_explicit(&shared->queued, memory_order_relaxed);
	use->connections = atomic_load_explicit(&shared->connections, memory_order_relaxed);
	for (uint64_t live = atomic_load(&board->live); live; live &= live - 1)
		add_use(use, &board->cells[__builtin_ctzll(live)][slot]);
}

void board_work(const struct board *board, struct board_work *work)
{
	*work = (struct board_work){ .requests = atomic_load(&board->carried_requests) };
	for (unsigned why = 0; why < BOARD_REFUSALS; why++)
		work->refusals[why] = atomic_load(&board->carried_refusals[why]);
	for (uint64_t live = atomic_load(&board->live); live; live &= live - 1) {
		const struct board_worker *page = &board->workers[__builtin_ctzll(live)];

		work->requests += atomic_load(&page->requests);
		work->clients += atomic_load(&page->clients);
		for (unsigned why = 0; why < BOARD_REFUSALS; why++)
			work->refusals[why] += atomic_load(&page->refusals[why]);
	}
}

uint64_t board_settled(const struct board *board)
{
	uint64_t sum = 2;

	for (uint64_t used = atomic_load(&board->used); used; used &= used - 1) {
		uint32_t clearings = atomic_load(&board->workers[__builtin_ctzll(used)].clearings);

		if (clearings % 2)
			return 0;
		sum += clearings;
	}
	return sum;
}
