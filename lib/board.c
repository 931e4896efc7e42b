#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define BOARD_MAGIC 0x31647261626e6574ull

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
	} head = { BOARD_MAGIC, BOARD_VERSION };

	if (memory < 0)
		return ten_error_set(err, errno, "board: memfd_create");
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

/* Holes are punched rather than zeros written, so that clearing costs and keeps no memory. What
 * is not whole pages of the worker's record is written over. */
int board_worker_clear(struct board *board, int fd, uint32_t worker, struct ten_error *err)
{
	off_t at = (off_t)offsetof(struct board, cells) +
		   (off_t)worker * (off_t)sizeof(board->cells[0]);
	struct board_worker *page;

	if (worker >= BOARD_WORKERS_MAX)
		return ten_error_set(err, EINVAL, "board: worker %u", worker);
	page = &board->workers[worker];
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, sizeof(board->cells[0])) <
		0)
		return ten_error_set(err, errno, "board: clearing worker %u", worker);
	atomic_store(&page->acknowledged, 0);
	atomic_store(&page->pid, 0);
	atomic_store(&page->clients, 0);
	atomic_store(&page->requests, 0);
	for (unsigned i = 0; i < BOARD_REFUSALS; i++)
		atomic_store(&page->refusals[i], 0);
	atomic_store(&page->bell_armed, 0);
	for (unsigned i = 0; i < ROUTE_SLOTS_MAX / 64; i++) {
		if (atomic_load_explicit(&page->wanted[i], memory_order_relaxed))
			atomic_store(&page->wanted[i], 0);
	}
	for (unsigned i = 0; i < BOARD_ASKS_MAX; i++)
		atomic_store(&page->asks[i].state, BOARD_ASK_FREE);
	return 0;
}

void board_use(const struct board *board, uint32_t workers, uint32_t slot, struct board_use *use)
{
	*use = (struct board_use){ 0 };
	if (slot >= ROUTE_SLOTS_MAX)
		return;
	for (uint32_t i = 0; i < workers && i < BOARD_WORKERS_MAX; i++) {
		const struct board_cell *cell = &board->cells[i][slot];
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
}
