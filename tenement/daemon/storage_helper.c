/* The daemon's side: begins the helper, asks, hears. */
#include "daemon/storage_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/helper.h"
#include "mem.h"
#include "text.h"

#define AGAIN_SECONDS 1.0 /* after one that ended; more each time */
#define AGAIN_MOST    60.0

static struct helper helper;
static int link_fd = -1;
static ev_io heard;
static double not_before, delay;
static storage_answered *tell;
static storage_lost *lose;

static void child(int link, int data)
{
	char *const argv[] = { "tenement-storage", STORAGE_HELPER_FLAG, NULL };
	/* (both may stand where the other is to be) */
	int high_link = fcntl(link, F_DUPFD, STORAGE_HELPER_DATA + 1);
	int high_data = fcntl(data, F_DUPFD, STORAGE_HELPER_DATA + 1);

	if (dup2(high_link, STORAGE_HELPER_LINK) < 0 || dup2(high_data, STORAGE_HELPER_DATA) < 0)
		_exit(127);
	syscall(SYS_close_range, STORAGE_HELPER_DATA + 1u, ~0u, 0u);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static void on_ended(struct daemon *d, struct helper *over, const siginfo_t *end)
{
	(void)over;
	(void)end;
	ev_io_stop(d->loop, &heard);
	close(fd_steal(&link_fd));
	delay = delay > 0 ? delay * 2 : AGAIN_SECONDS;
	if (delay > AGAIN_MOST)
		delay = AGAIN_MOST;
	not_before = daemon_now() + delay;
	log_warn("what looks at how much is stored ended; it is begun again in %.3g s", delay);
	lose(d);
}

static void on_heard(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct storage_answer answer;
	ssize_t got;

	(void)events;
	while ((got = recv(io->fd, &answer, sizeof(answer), MSG_DONTWAIT)) ==
		(ssize_t)sizeof(answer)) {
		answer.problem[sizeof(answer.problem) - 1] = '\0';
		delay = 0;
		tell(d, &answer);
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* What says no more ends; on_ended() is told. */
	ev_io_stop(loop, io);
	helper_kill(&helper);
}

static bool begin(struct daemon *d)
{
	int ends[2];
	pid_t pid;

	if (daemon_now() < not_before)
		return false;
	not_before = daemon_now() + AGAIN_SECONDS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	pid = helper_fork(d, &helper, on_ended);
	if (pid == 0)
		child(ends[1], d->data_fd);
	if (pid < 0)
		log_warn("looking at how much is stored: %s", strerror(errno));
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	link_fd = ends[0];
	ev_io_init(&heard, on_heard, link_fd, EV_READ);
	ev_io_start(d->loop, &heard);
	return true;
}

/* At once, while the daemon is small, and so that it has its descriptors before they are scarce. */
void storage_helper_start(struct daemon *d, storage_answered *answered, storage_lost *lost)
{
	tell = answered;
	lose = lost;
	begin(d);
}

bool storage_helper_ask(struct daemon *d, const struct storage_ask *ask, const char *const *folders)
{
	autotext struct text message = { 0 };
	size_t data_len = strlen(d->data_dir);

	text_add(&message, (const char *)ask, sizeof(*ask));
	for (size_t i = 0; folders[i]; i++) {
		const char *below = folders[i] + data_len;

		if (strncmp(folders[i], d->data_dir, data_len) != 0 || *below != '/')
			continue;
		text_add(&message, below + 1, strlen(below + 1) + 1);
	}
	if (message.len > STORAGE_MESSAGE_MAX || (!helper.pid && !begin(d)))
		return false;
	return send(link_fd, message.data, message.len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)message.len;
}
