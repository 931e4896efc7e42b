#include "daemon/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/become.h"
#include "common/fds.h"
#include "common/log.h"
#include "daemon/folders.h"
#include "daemon/keeper_link.h"
#include "daemon/lifecycle.h"
#include "daemon/listening.h"
#include "daemon/short_timer.h"
#include "daemon/wake_times.h"
#include "mem.h"

#define NAME_PREFIX       "socket:"
#define REFUSE_MAX        SOMAXCONN /* of one turn */
#define BOOT_LOOK_SECONDS 0.001
#define BOOT_LOOK_MOST    0.01

struct activation {
	struct daemon *daemon;
	struct instance *instance;
	int fd;
	char *path;
	ev_io queue; /* somebody is in it */
};

/* Of one process, until it has taken from the socket what was there for it. */
struct activation_boot {
	struct daemon *daemon;
	struct instance *instance;
	struct short_timer timer;
	double interval;
	uint64_t bytes_before; /* that its earlier lives said */
	bool seen_empty, seen_taken;
};

static char *kept_name(const char *key)
{
	return mem_printf(NAME_PREFIX "%s", key);
}

static bool queue_is_empty(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, 0) <= 0;
}

/* ---- who is in the queue of one that is down ---- */

static void refuse_one(int fd)
{
	static const char answer[] =
		"HTTP/1.1 503 Service Unavailable\r\n"
		"Content-Type: text/plain\r\nContent-Length: 24\r\nConnection: close\r\n\r\n"
		"the application is down\n";
	char rest[4096];
	ssize_t ignored;

	/* What was sent and not read would make a reset of the answer. */
	for (int i = 0; i < 64 && recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	ignored = send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)ignored;
}

static void refuse_all(const struct activation *activation)
{
	int flags = fcntl(activation->fd, F_GETFL);

	/* A grandchild that got away may be faster; the next process gets it as it should be. */
	fcntl(activation->fd, F_SETFL, flags | O_NONBLOCK);
	for (int i = 0; i < REFUSE_MAX; i++) {
		autoclose int fd = accept4(activation->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		refuse_one(fd);
	}
}

static void on_queue(struct ev_loop *loop, ev_io *io, int events)
{
	struct activation *activation = io->data;
	struct instance *instance = activation->instance;

	(void)events;
	if (instance->state == INSTANCE_ASLEEP) {
		ev_io_stop(loop, io); /* until it sleeps again */
		wake_times_wanted(instance);
		instance_wake(activation->daemon, instance, "a connection to its socket");
		return;
	}
	refuse_all(activation);
}

/* A check that its process never took from the queue is no reason to wake it. While no request is
 * in flight nobody else is there. */
static void drop_checks(struct daemon *d, struct instance *instance)
{
	if (instance->checks_left && !instance_in_flight(d, instance))
		refuse_all(instance->activation);
	instance->checks_left = false;
}

void activation_state_is(struct daemon *d, struct instance *instance)
{
	struct activation *activation = instance->activation;

	if (!activation)
		return;
	switch (instance->state) {
	case INSTANCE_ASLEEP:
		drop_checks(d, instance);
		/* fall through */
	case INSTANCE_STOPPED:
	case INSTANCE_SUSPENDED:
	case INSTANCE_FAILED:
		if (!d->shutting_down)
			ev_io_start(d->loop, &activation->queue);
		break;
	default:
		ev_io_stop(d->loop, &activation->queue);
		break;
	}
}

/* ---- the socket ---- */

int activation_fd(const struct instance *instance)
{
	return instance->activation ? instance->activation->fd : -1;
}

static void keep(struct daemon *d, struct instance *instance, int fd, const char *path)
{
	struct activation *activation = mem_alloc(sizeof(*activation));

	activation->daemon = d;
	activation->instance = instance;
	activation->fd = fd;
	activation->path = mem_strdup(path);
	ev_io_init(&activation->queue, on_queue, fd, EV_READ);
	activation->queue.data = activation;
	instance->activation = activation;
}

/* Whether what lies at PATH is the socket FD: a file of another has another name's socket behind
 * it, and the same name may have been bound anew. */
static bool is_at(int fd, const char *path, uint32_t uid)
{
	struct sockaddr_un bound;
	socklen_t len = sizeof(bound);
	struct stat st;
	int listens = 0;
	socklen_t size = sizeof(listens);

	memset(&bound, 0, sizeof(bound));
	return getsockname(fd, (struct sockaddr *)&bound, &len) == 0 &&
	       strncmp(bound.sun_path, path, sizeof(bound.sun_path)) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
	       lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == uid;
}

/* The tenant's own, and open to the proxy. By O_PATH and O_NOFOLLOW, and only what has no other
 * name: in a folder of the operator's choosing that the tenant may write to, root could be led to
 * another file. */
static int give_away(struct daemon *d, const struct run *run, struct ten_error *err)
{
	autoclose int fd = open(run->socket_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	uid_t owner = run->uid == BECOME_KEEP ? (uid_t)-1 : run->uid;
	gid_t group = d->proxy_gid == UINT32_MAX ? (gid_t)-1 : d->proxy_gid;
	struct stat st;
	char path[64];

	if (fd < 0 || fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "%s", run->socket_path);
	if (!S_ISSOCK(st.st_mode) || st.st_uid != d->uid || st.st_nlink != 1)
		return ten_error_set(err, 0, "%s was replaced by another file", run->socket_path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (chmod(path, 0660) < 0 || chown(path, owner, group) < 0)
		return ten_error_set(err, errno, "%s", run->socket_path);
	return 0;
}

/* The proxy checks who listens, which is who called listen(2) last (SO_PEERCRED): as the tenant
 * would be, and is if it calls it once more. In a process of its own, so that the daemon does not
 * become somebody else for a moment. */
static int listen_as(int fd, uint32_t uid)
{
	int status = -1;
	pid_t pid;

	if (uid == BECOME_KEEP)
		return listen(fd, SOMAXCONN);
	pid = vfork();
	if (pid == 0)
		_exit(syscall(SYS_setresuid, -1, uid, -1) == 0 && listen(fd, SOMAXCONN) == 0 ? 0
											     : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0 ? 0 : -1;
}

static int make(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	struct run *run = instance->run;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autofree char *name = kept_name(instance->key);

	if (fd < 0)
		return ten_error_set(err, errno, "a socket");
	memcpy(address.sun_path, run->socket_path, strlen(run->socket_path) + 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return ten_error_set(err, errno, "%s", run->socket_path);
	/* Before it listens: nobody connects to what is not yet as it should be. */
	if (give_away(d, run, err) < 0)
		return -1;
	if (listen_as(fd, run->uid) < 0)
		return ten_error_set(err, errno, "listening on %s", run->socket_path);
	keeper_link_store(d, name, fd);
	keep(d, instance, fd_steal(&fd), run->socket_path);
	return 0;
}

int activation_prepare(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	struct run *run = instance->run;
	uint32_t owner = run->uid == BECOME_KEEP ? (uint32_t)d->uid : run->uid;

	if (instance->activation && is_at(instance->activation->fd, run->socket_path, owner))
		return 0;
	activation_drop(d, instance);
	/* The folder is not the tenant's: nobody but us puts a socket there. */
	if (folders_make_socket(d, run->socket_path, run->uid == BECOME_KEEP ? BECOME_KEEP : d->uid,
		    0, err) < 0)
		return -1;
	return make(d, instance, err);
}

int activation_pass(int fd, char **env)
{
	static const char variable[] = "LISTEN_PID=";
	int flags;

	if (dup2(fd, ACTIVATION_FD) < 0 || fcntl(ACTIVATION_FD, F_SETFD, 0) < 0)
		return -1;
	/* As systemd passes it; what the process before made of it is not this one's. */
	flags = fcntl(ACTIVATION_FD, F_GETFL);
	if (flags < 0 || fcntl(ACTIVATION_FD, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -1;
	for (; *env; env++) {
		if (strncmp(*env, variable, sizeof(variable) - 1) == 0)
			snprintf(*env + sizeof(variable) - 1, sizeof(ACTIVATION_BLANK), "%d",
				(int)getpid());
	}
	return 0;
}

void activation_drop(struct daemon *d, struct instance *instance)
{
	struct activation *activation = instance->activation;
	autofree char *name = kept_name(instance->key);
	struct stat st;

	if (!activation)
		return;
	instance->activation = NULL;
	if (lstat(activation->path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(activation->path);
	refuse_all(activation);
	keeper_link_drop(d, name);
	ev_io_stop(d->loop, &activation->queue);
	close(activation->fd);
	free(activation->path);
	free(activation);
}

void activation_take_over(struct daemon *d)
{
	const char *name;

	for (size_t i = 0; (name = fds_name(i)); i++) {
		struct sockaddr_un bound;
		socklen_t len = sizeof(bound);
		struct instance *instance;
		int fd = FDS_FIRST + (int)i;

		if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
			continue;
		memset(&bound, 0, sizeof(bound));
		instance = instance_find(d, name + strlen(NAME_PREFIX));
		if (instance && !instance->activation &&
			getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
			keep(d, instance, fd, bound.sun_path);
			continue;
		}
		keeper_link_drop(d, name);
		close(fd);
	}
}

/* ---- a process that has just been given it ---- */

/* More are with it than wait in its queue: it has accepted the others, though its queue may never
 * be empty from here on. Where the kernel does not say how long that is, an answer does. */
static bool has_taken(const struct activation_boot *boot, const struct board_use *use)
{
	const struct activation *activation = boot->instance->activation;
	int queue = activation ? listening_queue(activation->fd) : 0;

	return queue >= 0 && use->in_flight > (uint64_t)queue;
}

static void took(struct activation_boot *boot)
{
	struct instance *instance = boot->instance;
	struct daemon *d = boot->daemon;

	activation_boot_stop(d, instance->run);
	lifecycle_took(d, instance);
}

static void look(void *data)
{
	struct activation_boot *boot = data;
	struct instance *instance = boot->instance;
	struct daemon *d = boot->daemon;
	double limit = (double)instance->run->spec->values.startup_timeout;
	bool late = daemon_now() - instance->run->started > limit;
	bool empty = !instance->activation || queue_is_empty(instance->activation->fd);
	struct board_use use;
	bool taken;

	instance_use(d, instance, &use);
	taken = !empty && late && has_taken(boot, &use);
	/* Twice: a request may be on its way from waiting to the queue. */
	if ((empty && !use.waiting && boot->seen_empty) || (taken && boot->seen_taken) ||
		use.bytes_out > boot->bytes_before) {
		took(boot);
		return;
	}
	boot->seen_empty = empty && !use.waiting;
	boot->seen_taken = taken;
	if (!empty && late && !taken) {
		activation_boot_stop(d, instance->run);
		lifecycle_did_not_take(d, instance);
		return;
	}
	short_timer_set(d->loop, &boot->timer, boot->interval);
	boot->interval *= 1.2;
	if (boot->interval > BOOT_LOOK_MOST)
		boot->interval = BOOT_LOOK_MOST;
}

void activation_boot_start(struct daemon *d, struct instance *instance)
{
	struct activation_boot *boot = mem_alloc(sizeof(*boot));
	struct board_use use;

	instance_use(d, instance, &use);
	boot->bytes_before = use.bytes_out;
	boot->daemon = d;
	boot->instance = instance;
	boot->interval = BOOT_LOOK_SECONDS;
	instance->run->boot = boot;
	short_timer_init(&boot->timer, look, boot);
	short_timer_set(d->loop, &boot->timer, boot->interval);
}

void activation_boot_stop(struct daemon *d, struct run *run)
{
	struct activation_boot *boot = run->boot;

	if (!boot)
		return;
	run->boot = NULL;
	short_timer_end(d->loop, &boot->timer);
	free(boot);
}
