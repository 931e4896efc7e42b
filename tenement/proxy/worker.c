#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/admit.h"
#include "proxy/ask.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/handover.h"
#include "proxy/pipe.h"
#include "proxy/queue.h"
#include "proxy/reserve.h"
#include "proxy/upstream.h"
#include "proxy/wait.h"

#define ACCEPT_BATCH    32
#define LAST_TURNS      256
#define ACCEPT_PAUSE_MS 100
#define LOG_PERIOD_MS   60000
#define SHED_COUNT      16 /* of each kind, at a refusal */
#define TRIM_PERIOD_MS  1000

/* ---- accepting ---- */

bool worker_log_is_due(const struct worker *worker, uint64_t *said_ms)
{
	if (*said_ms && worker->now_ms - *said_ms <= LOG_PERIOD_MS)
		return false;
	*said_ms = worker->now_ms;
	return true;
}

static bool is_memory(int error)
{
	return error == ENOMEM || error == ENOBUFS;
}

bool worker_shed(struct worker *worker)
{
	int error = errno;

	if (error != EMFILE && error != ENFILE && !is_memory(error))
		return false;
	/* First what nobody will miss. */
	if (pipes_close(worker) || (is_memory(error) && buffer_flush(&worker->buffers)))
		return true;
	if (worker_log_is_due(worker, &worker->shed_logged_ms))
		log_warn("closing idle connections: %s", strerror(error));
	return upstream_shed(worker, SHED_COUNT) + client_shed(worker, SHED_COUNT) > 0;
}

static void listeners_start(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_count; i++)
		ev_io_start(worker->loop, &worker->listeners[i]);
}

static void listeners_stop(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_count; i++)
		ev_io_stop(worker->loop, &worker->listeners[i]);
}

static void accept_pause_over(struct deadline *deadline)
{
	struct worker *worker =
		(struct worker *)((char *)deadline - offsetof(struct worker, accept_pause));

	if (!worker->draining && !worker->retiring)
		listeners_start(worker);
}

static void accept_pause(struct worker *worker, int error)
{
	if (worker_log_is_due(worker, &worker->accept_logged_ms))
		log_warn("cannot accept connections for the moment: %s", strerror(error));
	listeners_stop(worker);
	deadline_set(&worker->wheel, &worker->accept_pause, worker->now_ms + ACCEPT_PAUSE_MS);
}

/* accept() wants a descriptor before it looks whether anybody is there. */
static bool somebody_waits(int listener)
{
	struct pollfd queue = { .fd = listener, .events = POLLIN };

	return poll(&queue, 1, 0) > 0;
}

/* False: nobody waits any more, or nobody can be let in. */
static bool accept_some(struct worker *worker, ev_io *io)
{
	enum client_introduction introduction = worker->introductions[io - worker->listeners];

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int error;
		int fd = accept4(
			io->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_open(worker, fd, &peer, introduction,
				worker->for_api[io - worker->listeners]);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR)
			return errno == EINTR;
		if (errno == ECONNABORTED || errno == EPROTO)
			continue;
		error = errno;
		if (!somebody_waits(io->fd))
			return false;
		errno = error;
		if (!worker_shed(worker)) {
			accept_pause(worker, error);
			return false;
		}
	}
	return true;
}

static void accept_event(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	accept_some(io->data, io);
}

void worker_stop_accepting(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_count; i++) {
		ev_io *io = &worker->listeners[i];

		/* The last of a socket that nobody is to have any more; any other has others. */
		for (int turn = 0; turn < LAST_TURNS && accept_some(worker, io); turn++)
			;
		ev_io_stop(worker->loop, io);
		close(io->fd);
	}
	deadline_stop(&worker->accept_pause);
	worker->listener_count = 0;
}

bool worker_random(struct worker *worker, uint8_t *bytes, size_t len)
{
	if (worker->random_left < len) {
		if (getrandom(worker->random, sizeof(worker->random), 0) !=
			(ssize_t)sizeof(worker->random))
			return false;
		worker->random_left = sizeof(worker->random);
	}
	worker->random_left -= (uint32_t)len;
	memcpy(bytes, worker->random + worker->random_left, len);
	return true;
}

/* ---- turns of the loop ---- */

static void settings_refresh(struct worker *worker, uint64_t generation)
{
	worker->generation = generation;
	settings_load(&worker->settings, worker->table);
}

static void changes_examine(struct worker *worker)
{
	uint64_t generation = route_table_generation(worker->table);

	if (generation != worker->generation) {
		settings_refresh(worker, generation);
		admit_examine(worker);
	}
	upstream_flush_stale(worker);
	ask_examine(worker);
	wait_examine(worker);
}

static void bell_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *worker = io->data;
	uint64_t rings;

	(void)loop;
	(void)events;
	if (read(io->fd, &rings, sizeof(rings)) == (ssize_t)sizeof(rings))
		changes_examine(worker);
}

static void ring_out(struct worker *worker)
{
	uint64_t one = 1;

	worker->ring = false;
	/* It can only fail when it has been rung 2^64 times: then it rings. */
	if (write(worker->daemon_bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("cannot ring the daemon's bell: %s", strerror(errno));
}

/* The daemon may be waiting for it, so it is told. What changed after this was looked at rings the
 * bell. */
static void acknowledge(struct worker *worker)
{
	if (atomic_load_explicit(&worker->page->acknowledged, memory_order_relaxed) ==
		worker->generation)
		return;
	atomic_store_explicit(
		&worker->page->acknowledged, worker->generation, memory_order_seq_cst);
	ring_out(worker);
}

static void trim_buffers(struct deadline *deadline)
{
	struct worker *worker = (struct worker *)((char *)deadline - offsetof(struct worker, trim));

	buffer_trim(&worker->buffers);
}

/* The end of a turn: nobody up the stack, so what was put aside can go, and no view of the table
 * is held, so its present generation can be acknowledged. */
static void prepare_event(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct worker *worker = prepare->data;

	(void)loop;
	(void)events;
	if (route_table_generation(worker->table) != worker->generation)
		changes_examine(worker);
	if (worker->queues_to_look)
		queue_run(worker);
	if (worker->ring)
		ring_out(worker);
	access_log_turn(worker);
	trace_turn(worker);
	client_reap(worker);
	exchange_reap(worker);
	upstream_reap(worker);
	acknowledge(worker);
	if (!deadline_is_set(&worker->trim) && buffer_can_trim(&worker->buffers))
		deadline_set(&worker->wheel, &worker->trim, worker->now_ms + TRIM_PERIOD_MS);
	handover_turn(worker);
	if ((worker->draining || worker->retiring) && !worker->clients)
		ev_break(worker->loop, EVBREAK_ALL);
}

static void check_event(struct ev_loop *loop, ev_check *check, int events)
{
	struct worker *worker = check->data;

	(void)loop;
	(void)events;
	worker->now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
}

/* ---- the end ---- */

static void drain_over(struct deadline *deadline)
{
	struct worker *worker =
		(struct worker *)((char *)deadline - offsetof(struct worker, drain));

	log_info("worker %u: %u connections are still open, and closed now", worker->index,
		atomic_load(&worker->page->clients));
	while (worker->clients)
		client_close(worker->clients);
}

void worker_drain(struct worker *worker, uint64_t most_ms)
{
	worker->drain.expired = drain_over;
	deadline_set(&worker->wheel, &worker->drain, worker->now_ms + most_ms);
}

static void terminate_event(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct worker *worker = signal->data;

	(void)loop;
	(void)events;
	if (worker->draining)
		return;
	worker->draining = true;
	listeners_stop(worker);
	deadline_stop(&worker->accept_pause);
	client_close_idle(worker);
	upstream_flush_all(worker);
	worker_drain(worker, WORKER_DRAIN_MS);
	wait_examine(worker);
}

static void retire_event(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	handover_retire(signal->data);
}

/* ---- the beginning ---- */

static int listeners_init(
	struct worker *worker, const struct worker_inherited *inherited, struct ten_error *err)
{
	int yes = 1, idle_secs = 60, probe_secs = 15, probes = 4;

	for (uint32_t i = 0; i < inherited->listener_count; i++) {
		int fd = inherited->listeners[i];
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return ten_error_set(err, errno, "listening socket %d", fd);
		/* Accepted sockets inherit these; on a unix socket they fail and need not be. A
		 * silent peer that is gone without a word is noticed within two minutes, or its
		 * WebSocket would keep a tenant awake for ever. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_secs, sizeof(idle_secs));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_secs, sizeof(probe_secs));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
		ev_io_init(&worker->listeners[i], accept_event, fd, EV_READ);
		worker->listeners[i].data = worker;
		worker->introductions[i] = inherited->introductions[i];
		worker->for_api[i] = inherited->for_api[i];
	}
	worker->listener_count = inherited->listener_count;
	return 0;
}

static int page_init(struct worker *worker, int board_fd, struct ten_error *err)
{
	if (board_worker_clear(worker->board, board_fd, worker->index, err) < 0)
		return -1;
	worker->page = &worker->board->workers[worker->index];
	board_worker_enter(worker->board, worker->index);
	worker->cells = worker->board->cells[worker->index];
	worker->answers = worker->board->answers[worker->index];
	settings_refresh(worker, route_table_generation(worker->table));
	atomic_store(&worker->page->acknowledged, worker->generation);
	return 0;
}

static void watchers_init(struct worker *worker)
{
	ev_prepare_init(&worker->prepare, prepare_event);
	worker->prepare.data = worker;
	/* First of all when a turn begins, for all others read the clock it sets; last when it
	 * ends. */
	ev_check_init(&worker->check, check_event);
	ev_set_priority(&worker->check, EV_MAXPRI);
	worker->check.data = worker;
	ev_io_init(&worker->bell, bell_event, worker->own_bell, EV_READ);
	worker->bell.data = worker;
	ev_signal_init(&worker->terminate, terminate_event, SIGTERM);
	worker->terminate.data = worker;
	ev_signal_init(&worker->interrupt, terminate_event, SIGINT);
	worker->interrupt.data = worker;
	ev_signal_init(&worker->retire, retire_event, SIGUSR2);
	worker->retire.data = worker;
	worker->accept_pause.expired = accept_pause_over;
	worker->trim.expired = trim_buffers;
	queue_init(worker);
}

int worker_init(struct worker *worker, uint32_t index, const struct worker_inherited *inherited,
	struct ten_error *err)
{
	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->daemon_bell = inherited->daemon_bell;
	worker->own_bell = inherited->own_bell;
	worker->now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
	reserve_init();
	worker->loop = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!worker->loop)
		return ten_error_set(err, errno, "cannot make an event loop");
	access_log_init(worker, inherited->access_log);
	trace_init(worker, inherited->spans);
	deadline_wheel_init(&worker->wheel, worker->loop, &worker->now_ms);
	if (route_table_open(&worker->table, inherited->table_fd, err) < 0 ||
		board_open(&worker->board, inherited->board_fd, err) < 0 ||
		page_init(worker, inherited->board_fd, err) < 0)
		return -1;
	watchers_init(worker);
	handover_init(worker, inherited->handover_in, inherited->handover_out);
	return listeners_init(worker, inherited, err);
}

void worker_run(struct worker *worker)
{
	ev_prepare_start(worker->loop, &worker->prepare);
	ev_check_start(worker->loop, &worker->check);
	ev_io_start(worker->loop, &worker->bell);
	ev_signal_start(worker->loop, &worker->terminate);
	ev_signal_start(worker->loop, &worker->interrupt);
	ev_signal_start(worker->loop, &worker->retire);
	handover_start(worker);
	listeners_start(worker);
	/* From now on it serves: who waits for that is told. */
	atomic_store(&worker->page->pid, (uint32_t)getpid());
	worker_ring(worker);
	ev_run(worker->loop, 0);
	access_log_end(worker);
	trace_end(worker);
	atomic_store(&worker->page->pid, 0);
}
