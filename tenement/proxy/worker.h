/*
 * One proxy worker: a single thread around one loop. Everything else here is reached from it.
 *
 * What nobody may look at any more (a closed client, a finished exchange, a closed upstream
 * connection) is put aside and reused only at the end of the loop's turn, so that no caller up the
 * stack is left with a dangling pointer.
 */
#ifndef TEN_PROXY_WORKER_H
#define TEN_PROXY_WORKER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "config_address.h"
#include "error.h"
#include "route_table.h"
#include "proxy/access_log.h"
#include "proxy/trace.h"
#include "proxy/buffer.h"
#include "proxy/client.h"
#include "proxy/deadline.h"
#include "proxy/settings.h"

#define WORKER_LISTENERS_MAX CONFIG_LISTENERS_MAX
#define WORKER_FREE_HEADS    8
#define WORKER_DRAIN_MS      10000 /* SIGTERM: what is in flight gets this long */

struct http_head;
struct exchange;
struct upstream;
struct pipe;
struct slot_entry;
struct queue;
struct ask;

/* See handover.h. */
struct worker_handover {
	ev_io in;
	ev_io out;
	struct deadline pause; /* until it is tried again: taking, or when retiring, giving */
	bool blocked;          /* the socket takes no more at the moment */
	bool gave;             /* in this turn */
};

struct worker {
	struct ev_loop *loop;
	uint32_t index;
	uint64_t now_ms; /* CLOCK_MONOTONIC as of this turn of the loop */

	struct route_table *table;
	uint64_t generation; /* that the settings are of */
	struct settings settings;
	struct board *board;
	struct board_worker *page;
	struct board_cell *cells;      /* ours, by slot */
	struct board_answers *answers; /* likewise */
	int daemon_bell;
	int own_bell;
	bool ring; /* ring the daemon's bell at the end of this turn */

	ev_prepare prepare;
	ev_check check;
	ev_io bell;
	ev_signal terminate;
	ev_signal interrupt;
	ev_signal retire;
	struct deadline drain;
	bool draining;
	bool retiring; /* replaced: it ends when nobody is connected any more */
	struct worker_handover handover;

	ev_io listeners[WORKER_LISTENERS_MAX];
	enum client_introduction introductions[WORKER_LISTENERS_MAX];
	bool for_api[WORKER_LISTENERS_MAX];
	uint32_t listener_count;
	struct deadline accept_pause;
	uint64_t accept_logged_ms;
	uint64_t shed_logged_ms;
	uint64_t peer_logged_ms;
	uint64_t preface_logged_ms;

	struct deadline_wheel wheel;
	struct buffer_pool buffers;
	struct deadline trim;
	struct http_head *free_heads[WORKER_FREE_HEADS];
	uint32_t free_head_count;

	struct client *clients;     /* all that are open */
	uint32_t turned_away;       /* of those: who lingers for too many connections */
	uint32_t counted_clients;   /* of those: who counts for a max_connections */
	struct slot_entry *pools;   /* of idle upstream connections */
	uint32_t pooled;            /* idle upstream connections in all pools */
	struct slot_entry *waiting; /* requests, for their instance */
	struct pipe *free_pipes;
	uint32_t pipe_count;       /* of all */
	struct slot_entry *queues; /* of requests, for a place */
	struct queue *queues_to_look;
	ev_timer queue_timer;
	struct ask *asks;

	/* Put aside until the end of the turn, and free for use. */
	struct client *dead_clients, *free_clients;
	struct exchange *dead_exchanges, *free_exchanges;
	struct upstream *dead_upstreams, *free_upstreams;
	uint32_t free_client_count, free_exchange_count, free_upstream_count;

	struct access_log access;
	struct trace_out traces;

	uint8_t random[1024]; /* for ids of requests and spans */
	uint32_t random_left;
};

/* TABLE_FD and the others were inherited; they stay open. */
struct worker_inherited {
	int table_fd;
	int board_fd;
	int daemon_bell;
	int own_bell;
	int access_log;  /* -1: none */
	int spans;       /* likewise, for tenement-tracer */
	int handover_in; /* -1: none */
	int handover_out;
	int listeners[WORKER_LISTENERS_MAX];
	enum client_introduction introductions[WORKER_LISTENERS_MAX];
	bool for_api[WORKER_LISTENERS_MAX];
	uint32_t listener_count;
};

int worker_init(struct worker *worker, uint32_t index, const struct worker_inherited *inherited,
	struct ten_error *err);

/* Serve until told to stop, then finish what is in flight. */
void worker_run(struct worker *worker);

/* For good: the listening sockets are others' from now on. */
void worker_stop_accepting(struct worker *worker);

/* Close what is still open after MOST_MS. */
void worker_drain(struct worker *worker, uint64_t most_ms);

/* Tenement itself ends: nobody will be woken any more. */
static inline bool worker_ends(const struct worker *worker)
{
	return worker->draining && !worker->settings.ready;
}

/* Have the daemon look at the board, once, at the end of this turn. */
static inline void worker_ring(struct worker *worker)
{
	worker->ring = true;
}

/* A descriptor or memory was refused (see errno): close some of what is idle, the oldest first.
 * True: try again. */
bool worker_shed(struct worker *worker);

/* What repeats itself with every connection is said once in a while. True: say it now; *SAID_MS,
 * which begins at 0, is set to when that is. */
bool worker_log_is_due(const struct worker *worker, uint64_t *said_ms);

static inline void worker_refusal(struct worker *worker, enum board_refusal why)
{
	atomic_fetch_add_explicit(&worker->page->refusals[why], 1, memory_order_relaxed);
}

/* LEN random bytes, at most a few. False: the kernel has none. */
bool worker_random(struct worker *worker, uint8_t *bytes, size_t len);

#endif
