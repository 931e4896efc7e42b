/*
 * The board: shared memory by which proxy workers tell the daemon what is in use and what is to be
 * woken. A memfd sealed against resizing, mapped writable by daemon and workers alike. The daemon
 * uses no number from it as an index or a length unchecked, and what goes wrong in it can at worst
 * keep a tenant awake or put it to sleep early.
 *
 * Use. A request on its way to slot S of worker W:
 *	1. board_enter(cell): in_flight += 1, sequentially consistent;
 *	2. route_table_state(): only if it says READY (or FROZEN, with the wake bit set) is the
 *tenant used; else board_leave() and wait: set cell->waiting, board_want(), and try again when our
 *bell rings.
 *	3. board_leave(cell, now) when the answer is through.
 * The daemon stores DRAINING, then reads in_flight of all workers: no request falls between.
 *
 * Wake: board_want() sets the slot's bit in the worker's bitmap; then the worker rings the daemon's
 * bell (an eventfd, which cannot overflow: a bell says only "look at the bits"). The daemon rings
 *the worker's own bell when states or routes have changed. Both survive either side's death, for
 *the keeper holds them.
 */
#ifndef TEN_BOARD_H
#define TEN_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "route_table.h"

#define BOARD_VERSION     1
#define BOARD_WORKERS_MAX 64
#define BOARD_PICKS_MAX   65536
#define BOARD_ASKS_MAX    64

/* What one worker knows of one slot. One cache line; written by that worker alone. */
struct board_cell {
	_Atomic uint32_t
		in_flight; /* requests and streams being served, upgraded ones not counted */
	_Atomic uint32_t upgraded;     /* open upgraded connections */
	_Atomic uint32_t waiting;      /* requests held until it is ready */
	_Atomic uint32_t failures;     /* connections that the tenant refused or broke */
	_Atomic uint64_t last_used_ms; /* CLOCK_MONOTONIC: last byte of a request, answer or
					  upgraded stream */
	_Atomic uint64_t requests;
	_Atomic uint64_t bytes_in; /* towards the tenant */
	_Atomic uint64_t bytes_out;
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct board_cell) == 64, "one cache line");

/* A request for an id that nobody declared. The worker fills service and id, then stores ASKED;
 * the daemon answers by REFUSED, or by publishing the host and DONE; the worker stores FREE. */
enum board_ask_state { BOARD_ASK_FREE, BOARD_ASK_ASKED, BOARD_ASK_DONE, BOARD_ASK_REFUSED };
struct board_ask {
	_Atomic uint32_t state;
	char service[68]; /* NUL-terminated, both; the daemon checks them as it would a stranger's
			   */
	char id[68];
};

enum board_refusal { /* why the proxy itself answered */
	BOARD_REFUSED_BAD_REQUEST,
	BOARD_REFUSED_UNKNOWN_HOST,
	BOARD_REFUSED_QUEUE_FULL,
	BOARD_REFUSED_WAKE_TIMEOUT,
	BOARD_REFUSED_DOWN,          /* stopped, suspended, failed */
	BOARD_REFUSED_UPSTREAM,      /* the tenant broke: 502 */
	BOARD_REFUSED_UPSTREAM_SLOW, /* 504 */
	BOARD_REFUSED_PEER,          /* the socket was not the tenant's own */
	BOARD_REFUSED_TOO_LARGE,
	BOARD_REFUSED_OVERLOAD,
	BOARD_REFUSALS
};

struct board_worker {
	_Atomic uint64_t acknowledged; /* routing table generation of which no older view is held */
	_Atomic uint32_t pid;          /* 0: none yet */
	_Atomic uint32_t clients;      /* open client connections */
	_Atomic uint64_t requests;
	_Atomic uint64_t refusals[BOARD_REFUSALS];
	_Atomic uint32_t bell_armed; /* of the worker: 1 when it may be asleep and wants the bell */
	_Atomic uint64_t
		wanted[ROUTE_SLOTS_MAX / 64]; /* slots to be woken; taken by exchange with 0 */
	struct board_ask asks[BOARD_ASKS_MAX];
};

struct board {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	_Atomic uint64_t
		picks[BOARD_PICKS_MAX]; /* one ticket counter per weighted route, all workers */
	struct board_worker workers[BOARD_WORKERS_MAX];
	_Alignas(4096) struct board_cell cells[BOARD_WORKERS_MAX][ROUTE_SLOTS_MAX];
};

/* A new board in a sealed memfd (the caller's), or the one on FD. */
int board_create(struct board **board, int *fd, struct ten_error *err);
int board_open(struct board **board, int fd, struct ten_error *err);
void board_close(struct board *board);

/* Forget all that worker WORKER wrote (it died, or is about to begin). FD is the board's. */
int board_worker_clear(struct board *board, int fd, uint32_t worker, struct ten_error *err);

static inline void board_enter(struct board_cell *cell)
{
	atomic_fetch_add_explicit(&cell->in_flight, 1, memory_order_seq_cst);
}

static inline void board_leave(struct board_cell *cell, uint64_t now_ms)
{
	atomic_store_explicit(&cell->last_used_ms, now_ms, memory_order_relaxed);
	atomic_fetch_sub_explicit(&cell->in_flight, 1, memory_order_seq_cst);
}

/* Ask for SLOT to be woken. The caller rings the bell after. */
static inline void board_want(struct board_worker *worker, uint32_t slot)
{
	atomic_fetch_or_explicit(
		&worker->wanted[slot / 64], 1ull << (slot % 64), memory_order_seq_cst);
}

/* Sums over the first WORKERS workers, for one slot. */
struct board_use {
	uint64_t in_flight;
	uint64_t upgraded;
	uint64_t waiting;
	uint64_t last_used_ms;
	uint64_t requests;
	uint64_t failures;
	uint64_t bytes_in;
	uint64_t bytes_out;
};
void board_use(const struct board *board, uint32_t workers, uint32_t slot, struct board_use *use);

#endif
