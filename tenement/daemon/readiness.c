#include "daemon/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/become.h"
#include "common/process.h"
#include "daemon/folder_watch.h"
#include "daemon/listening.h"
#include "daemon/network.h"
#include "daemon/probe.h"
#include "daemon/sandbox.h"
#include "daemon/short_timer.h"
#include "mem.h"

/* The kernel tells of the bind (inotify) but not of the listen() after it, nor of anything on a
 * port: there, tries that begin at a fraction of a millisecond, and are never further apart than a
 * millisecond or the LOOK_SHARE of the time it has taken so far. A health check costs the tenant
 * itself something, and is made again less often. */
#define BOUND_LOOK_SECONDS 0.00005
#define FIRST_LOOK_SECONDS 0.0003
#define MOST_LOOK_SECONDS  0.0009
#define LAST_LOOK_SECONDS  0.01
#define LOOK_GROWTH        1.4
#define LOOK_SHARE         0.0005
#define PROBE_SHARE        0.01

struct readiness {
	struct daemon *daemon;
	struct instance *instance;
	struct short_timer timer;
	double interval;
	struct folder_watch watch; /* of the socket's folder */
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
	/* Only what differs: a change is an event in its folder, and would be looked at again. */
	if ((st.st_gid != d->proxy_gid && chown(path, (uid_t)-1, d->proxy_gid) < 0) ||
		((st.st_mode & 07777) != 0660 && chmod(path, 0660) < 0)) {
		instance_set_reason(
			instance, mem_printf("%s: %s", run->socket_path, strerror(errno)));
		return -1;
	}
	return 1;
}

static bool listens_on_socket(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	struct nl_sock *place;
	struct stat st;
	int fd, listens;
	bool unseen;

	if (!run->socket_path || lstat(run->socket_path, &st) < 0 ||
		open_socket_to_proxy(d, instance) <= 0)
		return false;
	run->by_socket = true;
	place = network_diag(run, &unseen);
	listens = unseen || sandbox_is_gvisor(run->spec) ? -1 : listening_on_file(place, &st);
	if (listens >= 0)
		return listens;
	/* Where the kernel does not say so (no unix_diag, or the socket is of another network
	 * namespace), a connection does. */
	fd = probe_connect(run);
	/* A queue that is full already is one that listens. */
	if (fd < 0 && errno != EAGAIN)
		return false;
	if (fd >= 0)
		close(fd);
	return true;
}

/* What listens on its own loopback alone listens to nobody. */
static void say_out_of_reach(struct instance *instance, struct nl_sock *place)
{
	struct run *run = instance->run;
	uint32_t uid, inode;

	if (listening_on_port(place, INADDR_LOOPBACK, run->port, &uid, &inode, NULL) == 1)
		instance_set_reason(instance,
			mem_printf("it listens on 127.0.0.1, where with network = \"private\" "
				   "nobody reaches it: listen on 0.0.0.0, or on SOCKET_PATH"));
}

static bool listens_on_port(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	uint32_t owner = run->uid == BECOME_KEEP ? (uint32_t)d->uid : run->uid;
	struct ten_error err;
	uint32_t uid = 0, inode = 0;
	uint32_t address = run->network.address ? run->network.address : INADDR_LOOPBACK;
	struct nl_sock *place;
	bool unseen;
	int listens;

	if (!run->port)
		return false;
	place = network_diag(run, &unseen);
	if (unseen)
		return false;
	listens = listening_on_port(place, address, run->port, &uid, &inode, &err);
	if (listens < 0)
		instance_set_reason(instance, mem_strdup(err.text));
	if (listens == 0 && address != INADDR_LOOPBACK)
		say_out_of_reach(instance, place);
	if (listens <= 0)
		return false;
	if (run->network.kind == NETWORK_NONE) {
		instance_set_reason(instance,
			mem_printf("it listens on PORT %u, where with network = \"none\" nobody "
				   "reaches it: listen on SOCKET_PATH",
				run->port));
		return false;
	}
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

/* Once more, at the latest after SHARE of the time since it was started. */
static void look_again(struct readiness *readiness, double share)
{
	double at_most = (daemon_now() - readiness->instance->run->started) * share;

	short_timer_set(readiness->daemon->loop, &readiness->timer, readiness->interval);
	readiness->interval *= LOOK_GROWTH;
	if (at_most < MOST_LOOK_SECONDS)
		at_most = MOST_LOOK_SECONDS;
	if (at_most > LAST_LOOK_SECONDS)
		at_most = LAST_LOOK_SECONDS;
	if (readiness->interval > at_most)
		readiness->interval = at_most;
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
	instance_set_reason(
		instance, mem_printf("health check GET %s: %s",
				  readiness->instance->run->spec->values.health, problem));
	look_again(readiness, PROBE_SHARE);
}

static void look(struct daemon *d, struct readiness *readiness)
{
	struct instance *instance = readiness->instance;
	const struct service_values *values = &instance->run->spec->values;

	if (readiness->probe)
		return;
	if (!listens_on_socket(d, instance) && !listens_on_port(d, instance)) {
		look_again(readiness, LOOK_SHARE);
		return;
	}
	if (values->ready == READY_HEALTH && values->health) {
		readiness->probe = probe_start(d, instance->run, values->health,
			(double)values->health_timeout, on_probed, readiness);
		if (!readiness->probe)
			look_again(readiness, PROBE_SHARE);
	} else if (values->ready != READY_NOTIFY || readiness->notified) {
		done(d, instance);
	} else {
		if (!instance->reason)
			instance_set_reason(instance,
				mem_strdup(
					"it listens, but READY=1 has not come on NOTIFY_SOCKET"));
		look_again(readiness, LOOK_SHARE);
	}
}

static void on_look(void *data)
{
	struct readiness *readiness = data;

	look(readiness->daemon, readiness);
}

/* Something happened in the socket's folder: look at once, and closely from here on. */
static void on_folder(void *data)
{
	struct readiness *readiness = data;

	readiness->interval = BOUND_LOOK_SECONDS;
	look(readiness->daemon, readiness);
}

void readiness_start(struct daemon *d, struct instance *instance)
{
	struct readiness *readiness = mem_alloc(sizeof(*readiness));
	const char *path = instance->run->socket_path;
	const char *slash = path ? strrchr(path, '/') : NULL;

	readiness->daemon = d;
	readiness->instance = instance;
	readiness->interval = FIRST_LOOK_SECONDS;
	readiness->watch.number = -1;
	short_timer_init(&readiness->timer, on_look, readiness);
	instance->run->readiness = readiness;
	if (slash) {
		autofree char *folder = mem_strndup(path, (size_t)(slash - path));

		folder_watch_start(d, &readiness->watch, folder, on_folder, readiness);
	}
	look_again(readiness, LOOK_SHARE);
}

void readiness_stop(struct daemon *d, struct run *run)
{
	struct readiness *readiness = run->readiness;

	network_diag_close(run);
	if (!readiness)
		return;
	run->readiness = NULL;
	short_timer_end(d->loop, &readiness->timer);
	probe_cancel(d, readiness->probe);
	folder_watch_end(&readiness->watch);
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
