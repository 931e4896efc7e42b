#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/log.h"
#include "proxy/admit.h"
#include "proxy/client.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#define HANDOVER_MAGIC 0x31766f68u
#define READ_BATCH     64
#define AGAIN_MS       50

/* ---- taking ---- */

/* A descriptor that cannot be received is lost with its connection: see first that there is room.
 */
static bool has_room(struct worker *worker)
{
	int probe;

	do
		probe = fcntl(worker->handover.in.fd, F_DUPFD_CLOEXEC, 0);
	while (probe < 0 && worker_shed(worker));
	if (probe >= 0)
		close(probe);
	return probe >= 0;
}

static int descriptor_of(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* False: there is none now. */
static bool take_one(struct worker *worker)
{
	struct handover_client state = { 0 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { .iov_base = &state, .iov_len = sizeof(state) };
	struct msghdr message = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(worker->handover.in.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (got <= 0)
		return got < 0 && errno == EINTR;
	fd = descriptor_of(&message);
	if (fd < 0)
		return true;
	if ((size_t)got < offsetof(struct handover_client, served) || state.magic != HANDOVER_MAGIC)
		close(fd);
	else
		client_adopt(worker, fd, &state);
	return true;
}

static void take_again(struct deadline *deadline)
{
	struct worker *worker =
		(struct worker *)((char *)deadline - offsetof(struct worker, handover.pause));

	if (!worker->retiring && !worker->draining)
		ev_io_start(worker->loop, &worker->handover.in);
}

static void take_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *worker = io->data;

	(void)events;
	for (int i = 0; i < READ_BATCH; i++) {
		if (!has_room(worker)) {
			ev_io_stop(loop, io);
			deadline_set(
				&worker->wheel, &worker->handover.pause, worker->now_ms + AGAIN_MS);
			return;
		}
		if (!take_one(worker))
			return;
	}
}

/* ---- giving ---- */

static ssize_t send_client(const struct worker *worker, const struct client *client)
{
	struct handover_client state = { .magic = HANDOVER_MAGIC,
		.size = sizeof(state),
		.served = client->served,
		.has_address = client->has_address,
		.to_be_introduced = client->introduction == CLIENT_TO_BE_INTRODUCED,
		.counted = client->counted,
		.peer_counted = client->peer_counted,
		.counted_for = client->counted_for,
		.peer_place = client->peer_place,
		.for_api = client->for_api };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec io = { .iov_base = &state, .iov_len = sizeof(state) };
	struct msghdr message = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t sent;

	state.idle_ms = (uint32_t)(worker->now_ms - client->idle_since_ms);
	memcpy(state.address, client->address, sizeof(state.address));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &client->io.fd, sizeof(int));
	do
		sent = sendmsg(worker->handover.out.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent;
}

bool handover_give(struct client *client)
{
	struct worker *worker = client->worker;
	struct worker_handover *handover = &worker->handover;

	if (handover->out.fd < 0 || handover->blocked)
		return false;
	if (send_client(worker, client) >= 0) {
		handover->gave = true;
		admit_hand_over(client);
		client_close(client); /* ours of it; the connection lives */
		return true;
	}
	handover->blocked = true;
	/* Full, or (ETOOMANYREFS) more descriptors on their way than we may have at once. */
	if (errno == EAGAIN)
		ev_io_start(worker->loop, &handover->out);
	else
		deadline_set(&worker->wheel, &handover->pause, worker->now_ms + AGAIN_MS);
	return false;
}

static void give_idle(struct worker *worker)
{
	struct client *client, *next;

	worker->handover.blocked = false;
	DL_FOREACH_SAFE (worker->clients, client, next) {
		if (client->state == CLIENT_IDLE && !handover_give(client))
			return;
	}
}

static void writable_event(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	ev_io_stop(loop, io);
	give_idle(io->data);
}

static void give_again(struct deadline *deadline)
{
	give_idle((struct worker *)((char *)deadline - offsetof(struct worker, handover.pause)));
}

void handover_retire(struct worker *worker)
{
	struct worker_handover *handover = &worker->handover;

	if (worker->retiring || worker->draining)
		return;
	worker->retiring = true;
	worker_stop_accepting(worker);
	ev_io_stop(worker->loop, &handover->in);
	deadline_stop(&handover->pause);
	handover->pause.expired = give_again;
	worker_drain(worker, worker->settings.upgrade_drain_timeout_ms);
	upstream_flush_all(worker);
	give_idle(worker);
}

/* What was handed over lives on, and with it its place in our epoll set, which only its end would
 * take it out of: the set is made anew. */
void handover_turn(struct worker *worker)
{
	if (!worker->handover.gave)
		return;
	worker->handover.gave = false;
	ev_loop_fork(worker->loop);
}

/* ---- the beginning ---- */

void handover_init(struct worker *worker, int in, int out)
{
	struct worker_handover *handover = &worker->handover;

	ev_io_init(&handover->in, take_event, in, EV_READ);
	handover->in.data = worker;
	ev_io_init(&handover->out, writable_event, out, EV_WRITE);
	handover->out.data = worker;
	handover->pause.expired = take_again;
}

void handover_start(struct worker *worker)
{
	if (worker->handover.in.fd >= 0)
		ev_io_start(worker->loop, &worker->handover.in);
}
