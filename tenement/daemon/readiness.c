#include "daemon/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/become.h"
#include "common/process.h"
#include "daemon/listening.h"
#include "daemon/probe.h"
#include "mem.h"

/* The kernel tells of the bind (inotify) but not of the listen() after it, nor of anything on a
 * port: there, tries that begin at a fraction of a millisecond and grow. */
#define FIRST_LOOK_SECONDS 0.0003
#define LAST_LOOK_SECONDS  0.01
#define LOOK_GROWTH        1.4
#define PROBE_SECONDS      5.0

struct readiness {
	struct daemon *daemon;
	struct instance *instance;
	ev_timer timer;
	double interval;
	int inotify; /* of the socket's folder; -1: none */
	ev_io io;
	bool notified;
	struct probe *probe;
};

/* The socket is the tenant's own, and the proxy may connect to it whatever umask made it. By
 * O_PATH and O_NOFOLLOW, so that what was looked at is what is changed. 1, 0 (not there), -1. */
static int open_socket_to_proxy(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	uint32_t owner = run->uid == BECOME_KEEP ? (uint32_t)d->uid : run->uid;
	autoclose int fd = open(run->socket_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	char path[64];

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != owner) {
		instance_set_reason(instance,
			mem_printf("%s is not a socket of its own: remove it", run->socket_path));
		return -1;
	}
	if (d->proxy_uid == UINT32_MAX)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (chown(path, (uid_t)-1, d->proxy_gid) < 0 || chmod(path, 0660) < 0) {
		instance_set_reason(
			instance, mem_printf("%s: %s", run->socket_path, strerror(errno)));
		return -1;
	}
	return 1;
}

static bool listens_on_socket(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	struct stat st;
	int fd, listens;

	if (!run->socket_path || lstat(run->socket_path, &st) < 0 ||
		open_socket_to_proxy(d, instance) <= 0)
		return false;
	run->by_socket = true;
	listens = listening_on_file(&st);
	if (listens >= 0)
		return listens;
	/* Where the kernel does not say so (no unix_diag), a connection does. */
	fd = probe_connect(run);
	/* A queue that is full already is one that listens. */
	if (fd < 0 && errno != EAGAIN)
		return false;
	if (fd >= 0)
		close(fd);
	return true;
}

static bool listens_on_port(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	uint32_t owner = run->uid == BECOME_KEEP ? (uint32_t)d->uid : run->uid;
	struct ten_error err;
	uint32_t uid = 0, inode = 0;
	int listens;

	if (!run->port)
		return false;
	listens = listening_on_port(run->port, &uid, &inode, &err);
	if (listens < 0)
		instance_set_reason(instance, mem_strdup(err.text));
	if (listens <= 0)
		return false;
	if (uid != owner) {
		instance_set_reason(
			instance, mem_printf("uid %u, and not the tenant, listens on its port %u",
					  uid, run->port));
		return false;
	}
	/* Where all have the same uid, the process tells them apart. */
	if (run->uid == BECOME_KEEP && process_holds_socket(run->pid, inode) == 0) {
		instance_set_reason(instance,
			mem_printf("another process than the tenant's listens on its port %u",
				run->port));
		return false;
	}
	run->by_socket = false;
	return true;
}

static void done(struct daemon *d, struct instance *instance)
{
	instance->run->ready = true;
	readiness_stop(d, instance->run);
	instance_mark(d, instance);
}

static void look_again(struct daemon *d, struct readiness *readiness)
{
	ev_timer_stop(d->loop, &readiness->timer);
	ev_now_update(d->loop);
	ev_timer_set(&readiness->timer, readiness->interval, 0.);
	ev_timer_start(d->loop, &readiness->timer);
	readiness->interval *= LOOK_GROWTH;
	if (readiness->interval > LAST_LOOK_SECONDS)
		readiness->interval = LAST_LOOK_SECONDS;
}

static void on_probed(void *data, const char *problem)
{
	struct readiness *readiness = data;
	struct instance *instance = readiness->instance;
	struct daemon *d = readiness->daemon;

	readiness->probe = NULL;
	if (!problem) {
		done(d, instance);
		return;
	}
	instance_set_reason(instance, mem_printf("health check: %s", problem));
	look_again(d, readiness);
}

static void look(struct daemon *d, struct readiness *readiness)
{
	struct instance *instance = readiness->instance;
	const struct service_values *values = &instance->run->spec->values;

	if (readiness->probe)
		return;
	if (!listens_on_socket(d, instance) && !listens_on_port(d, instance)) {
		look_again(d, readiness);
		return;
	}
	if (values->ready == READY_HEALTH && values->health)
		readiness->probe = probe_start(
			d, instance->run, values->health, PROBE_SECONDS, on_probed, readiness);
	else if (values->ready != READY_NOTIFY || readiness->notified)
		done(d, instance);
	else {
		if (!instance->reason)
			instance_set_reason(instance,
				mem_strdup(
					"it listens, but READY=1 has not come on NOTIFY_SOCKET"));
		look_again(d, readiness);
	}
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	look(ev_userdata(loop), timer->data);
}

/* Something happened in the socket's folder: look at once, and closely from here on. */
static void on_inotify(struct ev_loop *loop, ev_io *io, int events)
{
	struct readiness *readiness = io->data;
	char buffer[4096];

	(void)events;
	while (read(readiness->inotify, buffer, sizeof(buffer)) > 0)
		;
	readiness->interval = FIRST_LOOK_SECONDS;
	look(ev_userdata(loop), readiness);
}

static void watch_folder(struct daemon *d, struct readiness *readiness, const char *socket_path)
{
	const char *slash = socket_path ? strrchr(socket_path, '/') : NULL;
	autofree char *folder =
		slash ? mem_strndup(socket_path, (size_t)(slash - socket_path)) : NULL;

	readiness->inotify = folder ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
	if (readiness->inotify < 0)
		return;
	inotify_add_watch(readiness->inotify, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB);
	ev_io_init(&readiness->io, on_inotify, readiness->inotify, EV_READ);
	readiness->io.data = readiness;
	ev_io_start(d->loop, &readiness->io);
}

void readiness_start(struct daemon *d, struct instance *instance)
{
	struct readiness *readiness = mem_alloc(sizeof(*readiness));

	readiness->daemon = d;
	readiness->instance = instance;
	readiness->interval = FIRST_LOOK_SECONDS;
	ev_timer_init(&readiness->timer, on_look, 0., 0.);
	readiness->timer.data = readiness;
	instance->run->readiness = readiness;
	watch_folder(d, readiness, instance->run->socket_path);
	look_again(d, readiness);
}

void readiness_stop(struct daemon *d, struct run *run)
{
	struct readiness *readiness = run->readiness;

	if (!readiness)
		return;
	run->readiness = NULL;
	ev_timer_stop(d->loop, &readiness->timer);
	probe_cancel(d, readiness->probe);
	if (readiness->inotify >= 0) {
		ev_io_stop(d->loop, &readiness->io);
		close(readiness->inotify);
	}
	free(readiness);
}

void readiness_mend(struct daemon *d, struct instance *instance)
{
	if (instance->run && instance->run->ready && instance->run->by_socket)
		open_socket_to_proxy(d, instance);
}

void readiness_notified(struct daemon *d, struct instance *instance)
{
	struct readiness *readiness = instance->run ? instance->run->readiness : NULL;

	if (!readiness)
		return;
	readiness->notified = true;
	readiness->interval = FIRST_LOOK_SECONDS;
	look(d, readiness);
}
