#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/hold.h"
#include "daemon/instance.h"
#include "daemon/readiness.h"
#include "mem.h"

/* Read in one turn of the loop: who sends is a tenant and may do nothing else. */
#define DATAGRAMS_MAX 32

static ev_io reader;

/* Whose datagram it is: the sender's session is led by the tenant's first process. The kernel says
 * the pid; what the text says is believed of its own tenant only. */
static struct instance *sender(struct daemon *d, pid_t pid)
{
	pid_t session = getsid(pid);
	struct run *run = NULL;

	if (session > 0)
		HASH_FIND(by_pid, d->runs, &session, sizeof(session), run);
	return run ? instance_find(d, run->key) : NULL;
}

static bool says_ready(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

static void on_datagram(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	char text[4096];
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = text, .iov_len = sizeof(text) - 1 };

	(void)events;
	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		struct msghdr message = { .msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes) };
		ssize_t len = recvmsg(io->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct instance *instance = NULL;

		if (len < 0)
			return;
		for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
			header = CMSG_NXTHDR(&message, header)) {
			struct ucred from;

			if (header->cmsg_level != SOL_SOCKET)
				continue;
			if (header->cmsg_type == SCM_CREDENTIALS) {
				memcpy(&from, CMSG_DATA(header), sizeof(from));
				instance = sender(d, from.pid);
			} else if (header->cmsg_type == SCM_RIGHTS) {
				size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
				int fds[16];

				memcpy(fds, CMSG_DATA(header), count * sizeof(int));
				while (count--)
					close(fds[count]);
			}
		}
		text[len] = '\0';
		if (instance)
			hold_notified(instance, text);
		if (instance && says_ready(text))
			readiness_notified(d, instance);
	}
}

char *notify_folder(const struct daemon *d)
{
	return mem_printf("%s/notify.d", d->runtime_dir);
}

/* Where it was said to be by earlier programs, whose tenants are still there. */
static void leave_link(const struct daemon *d)
{
	autofree char *path = mem_printf("%s/notify", d->runtime_dir);

	unlink(path);
	if (symlink("notify.d/socket", path) < 0)
		log_warn("%s: %s", path, strerror(errno));
}

int notify_start(struct daemon *d, struct ten_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autofree char *folder = notify_folder(d);
	int one = 1;

	if (files_make_dirs(folder, 0711, err) < 0)
		return -1;
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder) >=
		(int)sizeof(address.sun_path))
		return ten_error_set(err, 0,
			"%s is too long for a socket's path: set [settings] runtime_dir to a "
			"shorter one",
			d->runtime_dir);
	d->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	if (d->notify < 0 || bind(d->notify, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		chmod(address.sun_path, 0666) < 0 ||
		setsockopt(d->notify, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
		return ten_error_set(err, errno, "%s", address.sun_path);
	leave_link(d);
	ev_io_init(&reader, on_datagram, d->notify, EV_READ);
	ev_io_start(d->loop, &reader);
	return 0;
}

void notify_end(struct daemon *d)
{
	unlinkat(d->run_fd, "notify", 0);
	unlinkat(d->run_fd, "notify.d/socket", 0);
	unlinkat(d->run_fd, "notify.d", AT_REMOVEDIR);
}
