#include "daemon/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/unix_connect.h"
#include "mem.h"

struct probe {
	int fd;
	ev_io io;
	ev_timer timer;
	char *request;
	size_t sent;
	char answer[16]; /* "HTTP/1.1 200" */
	size_t received;
	void (*done)(void *data, const char *problem);
	void *data;
};

int probe_connect(const struct run *run)
{
	struct sockaddr_in port = { .sin_family = AF_INET,
		.sin_port = htons(run->port),
		.sin_addr.s_addr =
			htonl(run->network.address ? run->network.address : INADDR_LOOPBACK) };
	autoclose int fd = socket(
		run->by_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	if (run->by_socket) {
		rc = unix_connect(fd, run->socket_path, UNIX_LINKS_ABOVE);
	} else {
		rc = connect(fd, (struct sockaddr *)&port, sizeof(port));
	}
	if (rc < 0 && errno != EINPROGRESS)
		return -1;
	return fd_steal(&fd);
}

static void finish(struct ev_loop *loop, struct probe *probe, const char *problem)
{
	void (*done)(void *, const char *) = probe->done;
	void *data = probe->data;

	probe_cancel(ev_userdata(loop), probe);
	done(data, problem);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	finish(loop, timer->data, "no answer in time");
}

static void judge(struct ev_loop *loop, struct probe *probe)
{
	char problem[64];
	const char *answer = probe->answer;

	if (strncmp(answer, "HTTP/1.", 7) != 0 || answer[8] != ' ' ||
		strspn(answer + 9, "0123456789") < 3) {
		finish(loop, probe, "the answer is not HTTP");
	} else if (answer[9] == '2' || answer[9] == '3') {
		finish(loop, probe, NULL);
	} else {
		snprintf(problem, sizeof(problem), "it answers %.3s", answer + 9);
		finish(loop, probe, problem);
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct probe *probe = io->data;
	size_t length = strlen(probe->request);
	ssize_t n;

	if ((events & EV_WRITE) && probe->sent < length) {
		n = send(probe->fd, probe->request + probe->sent, length - probe->sent,
			MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			finish(loop, probe, strerror(errno));
			return;
		}
		probe->sent += n > 0 ? (size_t)n : 0;
		if (probe->sent == length) {
			ev_io_stop(loop, io);
			ev_io_set(io, probe->fd, EV_READ);
			ev_io_start(loop, io);
		}
		return;
	}
	n = recv(probe->fd, probe->answer + probe->received,
		sizeof(probe->answer) - 1 - probe->received, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		finish(loop, probe,
			n < 0 ? strerror(errno) : "it closes the connection without an answer");
		return;
	}
	probe->received += (size_t)n;
	if (probe->received >= 12)
		judge(loop, probe);
}

static void fail_later(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	finish(loop, timer->data, "it refuses the connection");
}

struct probe *probe_start(struct daemon *d, const struct run *run, const char *path, double timeout,
	void (*done)(void *data, const char *problem), void *data)
{
	struct probe *probe = mem_alloc(sizeof(*probe));
	bool refused;

	probe->fd = probe_connect(run);
	if (probe->fd < 0 &&
		(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		free(probe);
		return NULL;
	}
	/* One whose queue is full is busy, not gone: it is given its time. */
	refused = probe->fd < 0 && errno != EAGAIN;
	probe->done = done;
	probe->data = data;
	probe->request = mem_printf("GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "
				    "tenement-health\r\nConnection: close\r\n\r\n",
		path);
	ev_now_update(d->loop);
	ev_timer_init(&probe->timer, refused ? fail_later : on_timeout, refused ? 0. : timeout, 0.);
	probe->timer.data = probe;
	probe->io.data = probe;
	ev_io_init(&probe->io, on_io, probe->fd, EV_READ | EV_WRITE);
	ev_timer_start(d->loop, &probe->timer);
	if (probe->fd >= 0)
		ev_io_start(d->loop, &probe->io);
	return probe;
}

void probe_cancel(struct daemon *d, struct probe *probe)
{
	if (!probe)
		return;
	ev_timer_stop(d->loop, &probe->timer);
	ev_io_stop(d->loop, &probe->io);
	if (probe->fd >= 0)
		close(probe->fd);
	free(probe->request);
	free(probe);
}
