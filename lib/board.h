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
 *
 * Limits are kept in what all workers share (struct board_slot, .peers; see limit.h and
 * board_peers.h), and each worker has a ledger of its part in it, which is taken back when it has
 * died. What a dead worker had counted is carried over likewise, so that sums do not go backwards.
 *
 * Pages are taken and given back: a worker that is replaced keeps its own until it has ended, while
 * its successor has another. `.live` says which are in use.
 */
#ifndef TEN_BOARD_H
#define TEN_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "board_answers.h"
#include "error.h"
#include "route_table.h"

#define BOARD_VERSION     7
#define BOARD_WORKERS_MAX 64
#define BOARD_LANES_MAX   (BOARD_WORKERS_MAX / 2) /* a lane's next worker needs a page, too */
#define BOARD_PICKS_MAX   65536
#define BOARD_ASKS_MAX    64
#define BOARD_PEERS       65536 /* places for client addresses; a power of two */

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
	/* Its part of the slot's shared numbers. */
	_Atomic uint32_t admitted;
	_Atomic uint32_t queued;
	_Atomic uint32_t connections;
	uint32_t reserved;
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
	BOARD_REFUSED_RATE,               /* 429 */
	BOARD_REFUSED_CONCURRENT,         /* the queue for its place is full, or took too long */
	BOARD_REFUSED_CONNECTIONS,        /* of one tenant */
	BOARD_REFUSED_CONNECTIONS_PER_IP, /* 429, before anything is read */
	BOARD_REFUSED_NO_WAKE,            /* by no_wake: the tenant sleeps on */
	BOARD_REFUSED_WAKES_PER_IP,       /* 429, likewise */
	BOARD_REFUSED_WAKES,              /* of the service, likewise */
	BOARD_ANSWERED_ASLEEP,            /* no refusal: its health path, while it sleeps on */
	BOARD_REFUSED_NO_ROOM,            /* for one more process */
	BOARD_REFUSALS
};
#define BOARD_REFUSALS_MAX 24
_Static_assert(BOARD_REFUSALS <= BOARD_REFUSALS_MAX, "room in a slot");
extern const char *const board_refusal_names[BOARD_REFUSALS];

/* What all workers share of one slot. Touched on the way of a request only where a limit is set. */
struct board_slot {
	_Alignas(64) _Atomic uint64_t rate_at_ns;
	_Atomic uint32_t admitted;    /* requests that count for max_concurrent */
	_Atomic uint32_t queued;      /* requests that wait for a place among those */
	_Atomic uint32_t connections; /* of clients whose latest request was for it */
	/* What workers that are no more had counted. */
	_Atomic uint32_t carried_failures;
	_Atomic uint64_t carried_last_used_ms;
	_Atomic uint64_t carried_requests;
	_Atomic uint64_t carried_bytes_in;
	_Atomic uint64_t carried_bytes_out;
	_Atomic uint64_t wake_claim; /* see board_wakes.h */
	_Alignas(64) _Atomic uint64_t refusals[BOARD_REFUSALS_MAX];
};

/* The moments of a tenant's latest start, CLOCK_MONOTONIC. Written by the daemon, but for the last.
 */
#define BOARD_TURN_WAITS UINT64_MAX
struct board_wake {
	_Atomic uint64_t
		turn_us;         /* it was its turn to start; BOARD_TURN_WAITS: it waits for that */
	_Atomic uint64_t queued; /* whether it had to wait for that */
	_Atomic uint64_t spawned_us; /* its process was there */
	_Atomic uint64_t ready_us;
	_Atomic uint64_t first_byte_us; /* of the first answer to who had waited; 0: none yet */
};

struct board_worker {
	_Atomic uint64_t acknowledged; /* routing table generation of which no older view is held */
	_Atomic uint32_t pid;          /* 0: none yet */
	_Atomic uint32_t clients;      /* open client connections */
	_Atomic uint64_t requests;
	_Atomic uint64_t refusals[BOARD_REFUSALS];
	_Atomic uint32_t clearings; /* odd while what it left is being carried over */
	_Atomic uint64_t
		wanted[ROUTE_SLOTS_MAX / 64]; /* slots to be woken; taken by exchange with 0 */
	struct board_ask asks[BOARD_ASKS_MAX];
};

/* What became of spans. */
struct board_traces {
	_Atomic uint64_t lost;                        /* by workers: tenement-tracer took no more */
	_Atomic uint64_t exported, dropped, failures; /* by that: spans, spans, tries */
};

/* What became of lines. */
struct board_logs {
	_Atomic uint64_t lines;        /* that tenants wrote, and the log writer took */
	_Atomic uint64_t over_rate;    /* more than log_rate */
	_Atomic uint64_t unstored;     /* the store could not take them */
	_Atomic uint64_t access_lines; /* of access logs */
	_Atomic uint64_t access_lost;  /* the log writer was behind */
	_Atomic uint64_t stores_aside; /* damaged stores that were renamed */
	_Atomic uint64_t unforwarded;  /* journald or syslog did not take them */
};

struct board {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	uint64_t peer_key[2];     /* of the hash by which addresses find their places; random */
	_Atomic uint64_t live;    /* a bit for each page that a worker has */
	_Atomic uint64_t used;    /* and for each that one ever had */
	_Atomic uint64_t no_room; /* whether those whose turn is awaited wait for room, see
				     BOARD_TURN_WAITS */
	_Atomic uint64_t carried_requests; /* of workers that are no more */
	_Atomic uint64_t carried_refusals[BOARD_REFUSALS_MAX];
	_Atomic uint64_t
		picks[BOARD_PICKS_MAX]; /* one ticket counter per weighted route, all workers */
	struct board_worker workers[BOARD_WORKERS_MAX];
	_Atomic uint64_t touched[ROUTE_SLOTS_MAX / 64]; /* slots that have refusals */
	struct board_slot slots[ROUTE_SLOTS_MAX];
	_Atomic uint64_t peers[BOARD_PEERS];  /* see board_peers.h */
	_Atomic uint64_t wakers[BOARD_PEERS]; /* see board_wakes.h; likewise: */
	_Atomic uint64_t service_wakes[BOARD_PICKS_MAX];
	_Alignas(4096) _Atomic uint32_t peer_ledgers[BOARD_WORKERS_MAX][BOARD_PEERS];
	_Alignas(4096) struct board_cell cells[BOARD_WORKERS_MAX][ROUTE_SLOTS_MAX];
	_Alignas(4096) struct board_wake wakes[ROUTE_SLOTS_MAX];
	_Alignas(4096) struct board_answers answers[BOARD_WORKERS_MAX][ROUTE_SLOTS_MAX];
	struct board_answers carried_answers[ROUTE_SLOTS_MAX];
	struct board_gone gone[BOARD_GONE_MAX];
	struct board_traces traces;
	struct board_logs logs;
};
_Static_assert(BOARD_WORKERS_MAX == 64, "a bit each");

/* A new board in a sealed memfd (the caller's), or the one on FD. */
int board_create(struct board **board, int *fd, struct ten_error *err);
int board_open(struct board **board, int fd, struct ten_error *err);
void board_close(struct board *board);

/* Forget all that worker WORKER wrote (it died, or is about to begin): what it held of shared
 * numbers is given back, what it had counted is carried over. FD is the board's. */
int board_worker_clear(struct board *board, int fd, uint32_t worker, struct ten_error *err);

/* The page is a living worker's from now on; or nobody's. */
static inline void board_worker_enter(struct board *board, uint32_t worker)
{
	atomic_fetch_or(&board->used, 1ull << worker);
	atomic_fetch_or(&board->live, 1ull << worker);
}

static inline bool board_worker_is_live(const struct board *board, uint32_t worker)
{
	return atomic_load(&board->live) >> worker & 1;
}

static inline void board_worker_leave(struct board *board, uint32_t worker)
{
	atomic_fetch_and(&board->live, ~(1ull << worker));
}

/* It is not started, and its latest start is forgotten. */
void board_wake_clear(struct board_wake *wake);

/* SLOT is given to a tenant: what was counted of the one before is not its. */
void board_slot_clear(struct board *board, uint32_t slot);

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

/* Sums over all workers that live, for one slot, with what was carried over. */
struct board_use {
	uint64_t in_flight;
	uint64_t upgraded;
	uint64_t waiting;
	uint64_t last_used_ms;
	uint64_t requests;
	uint64_t failures;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t queued;      /* for a place of max_concurrent */
	uint64_t connections; /* counted for max_connections */
};
void board_use(const struct board *board, uint32_t slot, struct board_use *use);

/* One more of SLOT was refused. */
static inline void board_refuse(struct board *board, uint32_t slot, enum board_refusal why)
{
	_Atomic uint64_t *touched = &board->touched[slot / 64];
	uint64_t bit = 1ull << (slot % 64);

	if (!(atomic_load_explicit(touched, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(touched, bit, memory_order_relaxed);
	atomic_fetch_add_explicit(&board->slots[slot].refusals[why], 1, memory_order_relaxed);
}

/* Whether SLOT ever refused: who has not been asked for has no page that reading would make. */
static inline bool board_has_refused(const struct board *board, uint32_t slot)
{
	return atomic_load_explicit(&board->touched[slot / 64], memory_order_relaxed) >>
		       (slot % 64) &
	       1;
}

/* Whether WHY says that nobody was woken who otherwise would have been. */
static inline bool board_not_woken(enum board_refusal why)
{
	return why >= BOARD_REFUSED_NO_WAKE && why <= BOARD_ANSWERED_ASLEEP;
}

/* What the workers did in all: requests, open connections and their own refusals by reason. */
struct board_work {
	uint64_t requests;
	uint64_t clients;
	uint64_t refusals[BOARD_REFUSALS];
};
void board_work(const struct board *board, struct board_work *work);

/* A number that is the same before and after sums were made if nothing was carried over meanwhile;
 * 0 while something is. */
uint64_t board_settled(const struct board *board);

#endif
