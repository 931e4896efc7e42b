#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "cgroup_place.h"
#include "common/files.h"
#include "common/log.h"
#include "common/process.h"
#include "keeper/keeper.h"
#include "mem.h"

#define HALT_GRACE_SECONDS  15.0
#define QUICK_DEATH_SECONDS 1.0
#define SLOWED_SECONDS      1.0
#define QUICK_DEATHS_FREE   5

#define RESTARTED "restarted" /* between keepers: kept, and planned to end */

struct child {
	/* what the daemon asked for */
	char *name;
	int64_t uid, gid;
	char *fd_list;
	char **argv;
	enum child_mode mode;
	bool planned; /* told to end, and if kept to be run again then */
	/* what became of it */
	pid_t pid; /* 0: not running */
	ev_tstamp started;
	unsigned quick_deaths;
	ev_timer timer; /* to the next start, or to SIGKILL */
	UT_hash_handle hh;
};
static struct child *children;

const char *const child_mode_names[] = {
	[CHILD_KEPT] = "kept",
	[CHILD_TRIAL] = "trial",
	[CHILD_RETIRED] = "retired",
	[CHILD_HALTED] = "halted",
};

/* Between fork and exec: errors end the child with 127 and are told by its exit. */
static void child_exec(struct child *child, struct inherited *list, pid_t keeper)
{
	int null;

	process_hear_signals();
	/* In a session of its own a Ctrl-C at the terminal reaches the keeper alone. */
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(127);
	inherited_place(list);
	if (child->uid >= 0 &&
		(setgroups(0, NULL) < 0 || setresgid(child->gid, child->gid, child->gid) < 0 ||
			setresuid(child->uid, child->uid, child->uid) < 0))
		_exit(127);
	/* Not the daemon, which has an end of its own to make of it. */
	if (strcmp(child->name, DAEMON_NAME) != 0 &&
		(prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != keeper))
		_exit(127);
	execv(child->argv[0], child->argv);
	log_error("%s: %s", child->argv[0], strerror(errno));
	_exit(127);
}

/* The loop's own time is that on the wall, which may be set back. */
static double monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void child_timer(struct ev_loop *loop, ev_timer *timer, int events);

static void child_start(struct ev_loop *loop, struct child *child)
{
	struct inherited list = { 0 };
	pid_t keeper = getpid();
	sigset_t before;

	inherited_add_all(&list, child->fd_list);
	if (strcmp(child->name, DAEMON_NAME) == 0) {
		int end = link_open(loop);

		if (end >= 0)
			store_put("keeper", end);
		inherited_add(&list, "keeper", store_get("keeper"));
	}
	child->started = monotonic_seconds();
	child->planned = false;
	process_hold_signals(&before);
	child->pid = fork();
	if (child->pid == 0)
		child_exec(child, &list, keeper);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (child->pid < 0) {
		log_error("%s: fork: %s", child->name, strerror(errno));
		child->pid = 0;
		ev_timer_set(&child->timer, SLOWED_SECONDS, 0.);
		ev_timer_start(loop, &child->timer);
	}
	/* Ours of the daemon's end must go, or its death would not be seen as an end of file. */
	if (strcmp(child->name, DAEMON_NAME) == 0)
		store_drop("keeper");
	inherited_free(&list);
	if (child->pid > 0)
		link_send_child(child->name, child->pid, child->mode);
}

/* What ended while it was none of these is not started again. */
static bool starts_again(const struct child *child)
{
	return child->mode == CHILD_KEPT;
}

static void child_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;

	(void)events;
	if (child->pid > 0 && child->planned) {
		log_warn("%s did not end within %.0f s: killing it", child->name,
			HALT_GRACE_SECONDS);
		kill(child->pid, SIGKILL);
	} else if (child->pid == 0 && starts_again(child)) {
		child_start(loop, child);
	}
}

static struct child *define(
	const char *name, int64_t uid, int64_t gid, const char *fd_list, char *const *argv)
{
	struct child *child;

	HASH_FIND_STR(children, name, child);
	if (!child) {
		child = mem_alloc(sizeof(*child));
		child->name = mem_strdup(name);
		ev_timer_init(&child->timer, child_timer, 0., 0.);
		child->timer.data = child;
		HASH_ADD_KEYPTR(hh, children, child->name, strlen(child->name), child);
	}
	child->uid = uid;
	child->gid = gid;
	free(child->fd_list);
	child->fd_list = mem_strdup(fd_list);
	mem_strv_free(child->argv);
	child->argv = mem_strv_copy(argv);
	return child;
}

static void run(enum child_mode mode, struct ev_loop *loop, const char *name, int64_t uid,
	int64_t gid, const char *fd_list, char *const *argv)
{
	struct child *child = define(name, uid, gid, fd_list, argv);

	child->mode = mode;
	if (child->pid == 0 && !ev_is_active(&child->timer))
		child_start(loop, child);
}

void child_run(struct ev_loop *loop, const char *name, int64_t uid, int64_t gid,
	const char *fd_list, char *const *argv)
{
	run(CHILD_KEPT, loop, name, uid, gid, fd_list, argv);
}

static void halt(struct ev_loop *loop, struct child *child)
{
	child->mode = CHILD_HALTED;
	ev_timer_stop(loop, &child->timer);
	if (child->pid > 0) {
		child->planned = true;
		kill(child->pid, SIGTERM);
		ev_timer_set(&child->timer, HALT_GRACE_SECONDS, 0.);
		ev_timer_start(loop, &child->timer);
	}
}

static void forget(struct ev_loop *loop, struct child *child)
{
	ev_timer_stop(loop, &child->timer);
	HASH_DEL(children, child);
	free(child->name);
	free(child->fd_list);
	mem_strv_free(child->argv);
	free(child);
}

void child_halt(struct ev_loop *loop, const char *name)
{
	struct child *child;

	HASH_FIND_STR(children, name, child);
	if (!child)
		return;
	halt(loop, child);
	if (child->pid > 0)
		return;
	link_send_gone(name, CHILD_HALTED, "unstarted", 0);
	forget(loop, child);
}

void child_halt_all(struct ev_loop *loop)
{
	struct child *child, *next;

	HASH_ITER (hh, children, child, next)
		child_halt(loop, child->name);
}

void child_try(struct ev_loop *loop, const char *name, int64_t uid, int64_t gid,
	const char *fd_list, char *const *argv)
{
	struct child *child;

	run(CHILD_TRIAL, loop, name, uid, gid, fd_list, argv);
	HASH_FIND_STR(children, name, child);
	if (child->pid > 0)
		return;
	link_send_gone(name, CHILD_TRIAL, "unstarted", 0);
	forget(loop, child);
}

static void set_mode(struct child *child, enum child_mode mode)
{
	child->mode = mode;
	link_send_child(child->name, child->pid, mode);
}

void child_retire(const char *name)
{
	struct child *child;

	HASH_FIND_STR(children, name, child);
	if (!child || child->pid == 0 || child->mode == CHILD_HALTED)
		return;
	set_mode(child, CHILD_RETIRED);
	kill(child->pid, SIGUSR2);
}

void child_replace(struct ev_loop *loop, const char *old, const char *new)
{
	struct child *child;

	HASH_FIND_STR(children, new, child);
	/* If it has ended the daemon will read so in a moment. */
	if (!child || child->pid == 0 || child->mode != CHILD_TRIAL)
		return;
	set_mode(child, CHILD_KEPT);
	HASH_FIND_STR(children, old, child);
	if (!child || child->pid > 0) {
		child_retire(old);
		return;
	}
	/* It waits to be started again: no more. */
	link_send_gone(old, CHILD_RETIRED, "unstarted", 0);
	forget(loop, child);
}

/* Whether the daemon is to be started again. While it was never ready, or is to bring everything to
 * an end, crashing on and on is no way forward. */
static bool daemon_comes_back(const struct child *child, bool exited, int status)
{
	bool must_get_on = keeper_stopping || !keeper_daemon_was_ready;

	if (keeper_daemon_over(exited, status))
		return false;
	if (!must_get_on || child->quick_deaths <= QUICK_DEATHS_FREE)
		return true;
	keeper_give_up();
	return false;
}

static void child_ended(struct ev_loop *loop, struct child *child, const siginfo_t *info)
{
	bool exited = info->si_code == CLD_EXITED;
	bool quick = monotonic_seconds() - child->started < QUICK_DEATH_SECONDS;

	child->pid = 0;
	child->quick_deaths = quick ? child->quick_deaths + 1 : 0;
	ev_timer_stop(loop, &child->timer);
	if (strcmp(child->name, DAEMON_NAME) == 0) {
		link_finish(loop);
		keeper_renew();
		if (!daemon_comes_back(child, exited, info->si_status))
			child->mode = CHILD_HALTED;
	}
	if (!starts_again(child)) {
		link_send_gone(
			child->name, child->mode, exited ? "status" : "signal", info->si_status);
		forget(loop, child);
		return;
	}
	if (child->planned && (exited ? info->si_status == 0 : info->si_status == SIGTERM))
		log_info("%s ended as it was told to, starting the next", child->name);
	else
		log_warn("%s ended (%s %d), starting it again", child->name,
			exited ? "status" : "signal", info->si_status);
	if (child->quick_deaths <= QUICK_DEATHS_FREE) {
		child_start(loop, child);
		return;
	}
	ev_timer_set(&child->timer, SLOWED_SECONDS, 0.);
	ev_timer_start(loop, &child->timer);
}

/* A tenant, or what one left behind. While its main process is a zombie nobody else can have its
 * pid, so this is the moment at which the rest of its process group can be ended without a race. */
static void adopted_ended(const siginfo_t *info)
{
	pid_t pid = info->si_pid;
	uint64_t start = process_start_time(pid);

	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED);
	link_send_exit(
		pid, start, info->si_code == CLD_EXITED ? "exited" : "killed", info->si_status);
}

bool child_reap(struct ev_loop *loop)
{
	for (;;) {
		struct child *child = NULL, *next, *found = NULL;
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return errno != ECHILD;
		if (info.si_pid == 0)
			return true;
		HASH_ITER (hh, children, child, next)
			if (child->pid == info.si_pid)
				found = child;
		if (!found) {
			adopted_ended(&info);
			continue;
		}
		waitid(P_PID, (id_t)info.si_pid, &(siginfo_t){ 0 }, WEXITED);
		child_ended(loop, found, &info);
	}
}

pid_t child_pid(const char *name)
{
	struct child *child;

	HASH_FIND_STR(children, name, child);
	return child ? child->pid : 0;
}

void child_signal(const char *name, int signal)
{
	pid_t pid = child_pid(name);

	if (pid > 0)
		kill(pid, signal);
}

void child_save(void)
{
	struct child *child, *next;

	HASH_ITER (hh, children, child, next) {
		struct wire_buffer buffer = { 0 };

		wire_add(&buffer, "child");
		wire_add(&buffer, child->name);
		wire_add_number(&buffer, child->pid);
		wire_add(&buffer, child->planned && starts_again(child)
					  ? RESTARTED
					  : child_mode_names[child->mode]);
		wire_add_number(&buffer, child->uid);
		wire_add_number(&buffer, child->gid);
		wire_add(&buffer, child->fd_list);
		for (size_t i = 0; child->argv[i]; i++)
			wire_add(&buffer, child->argv[i]);
		renew_add(&buffer);
	}
}

void child_resume(struct ev_loop *loop, const struct wire *wire)
{
	char *argv[WIRE_FIELDS] = { NULL };
	int64_t pid, uid, gid;
	struct child *child;

	if (!wire_number(wire->fields[2], 0, INT32_MAX, &pid) ||
		!wire_number(wire->fields[4], -1, UINT32_MAX - 1, &uid) ||
		!wire_number(wire->fields[5], -1, UINT32_MAX - 1, &gid))
		return;
	for (size_t i = 7; i < wire->count; i++)
		argv[i - 7] = (char *)wire->fields[i];
	child = define(wire->fields[1], uid, gid, wire->fields[6], argv);
	child->pid = (pid_t)pid;
	child->started = monotonic_seconds();
	for (enum child_mode mode = CHILD_KEPT; mode <= CHILD_HALTED; mode++)
		if (strcmp(wire->fields[3], child_mode_names[mode]) == 0)
			child->mode = mode;
	child->planned = child->pid > 0 &&
			 (child->mode == CHILD_HALTED || strcmp(wire->fields[3], RESTARTED) == 0);
	/* It was to be started, or killed, after a while: the while begins anew. */
	if ((child->pid > 0) == child->planned) {
		ev_timer_set(&child->timer, child->pid ? HALT_GRACE_SECONDS : 0., 0.);
		ev_timer_start(loop, &child->timer);
	}
}

void child_each(
	void (*visit)(void *data, const char *name, pid_t pid, enum child_mode mode), void *data)
{
	struct child *child, *next;

	HASH_ITER (hh, children, child, next)
		visit(data, child->name, child->pid, child->mode);
}

size_t child_count(void)
{
	return HASH_COUNT(children);
}

/* Version 1 of control groups lets nobody die that it holds frozen. */
static void thaw_child(pid_t pid)
{
	char path[PATH_MAX];
	autofree char *mounts = files_read(AT_FDCWD, "/proc/self/mountinfo", 1u << 20, NULL, NULL);
	autofree char *groups = NULL;
	struct cgroup_place place = { 0 };
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	groups = files_read(AT_FDCWD, path, 65536, NULL, NULL);
	cgroup_place_find(mounts ? mounts : "", groups ? groups : "", &place);
	if (place.freezer && strstr(place.freezer, "/tenement-") &&
		snprintf(path, sizeof(path), "%s/freezer.state", place.freezer) < (int)sizeof(path))
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "THAWED", 6) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	cgroup_place_clear(&place);
}

static void kill_child(pid_t pid)
{
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	thaw_child(pid);
}

void child_kill_strays(void)
{
	char path[64];
	FILE *list;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	list = fopen(path, "re");
	if (!list)
		return;
	while (fscanf(list, "%d", &pid) == 1) {
		struct child *child, *next;
		bool named = false;

		HASH_ITER (hh, children, child, next)
			named = named || child->pid == pid;
		if (!named)
			kill_child(pid);
	}
	fclose(list);
}

void child_kill_all(struct ev_loop *loop)
{
	struct child *child, *next;

	child_halt_all(loop);
	HASH_ITER (hh, children, child, next)
		kill_child(child->pid);
	child_kill_strays();
}
