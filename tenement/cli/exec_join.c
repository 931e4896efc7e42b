#include "cli/exec_join.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/answer.h"
#include "common/files.h"
#include "common/process.h"
#include "mem.h"

#define EXIT_SIGNALED 128

static const struct kind {
	const char *name;
	int flag;
} kinds[] = {
	{ "user", CLONE_NEWUSER },
	{ "mnt", CLONE_NEWNS },
	{ "pid", CLONE_NEWPID },
	{ "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },
	{ "net", CLONE_NEWNET },
	{ "cgroup", CLONE_NEWCGROUP },
};

/* Those of PID that are not ours as well. */
static int differing(pid_t pid)
{
	int found = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		autofree char *own = mem_printf("/proc/self/ns/%s", kinds[i].name);
		autofree char *its = mem_printf("/proc/%d/ns/%s", (int)pid, kinds[i].name);
		struct stat a, b;

		if (stat(own, &a) == 0 && stat(its, &b) == 0 && a.st_ino != b.st_ino)
			found |= kinds[i].flag;
	}
	return found;
}

static int uid_of(pid_t pid, uint32_t *uid)
{
	autofree char *path = mem_printf("/proc/%d/status", (int)pid);
	autofree char *text = files_read(AT_FDCWD, path, 65536, NULL, NULL);
	const char *line = text ? strstr(text, "\nUid:") : NULL;

	return line && sscanf(line, "\nUid: %*u %" SCNu32, uid) == 1 ? 0 : -1;
}

/* Where a group cannot be joined, as a plain user who was given none, the command runs outside. */
static void open_doors(struct exec_join *join, const json_t *identity)
{
	const json_t *path;
	size_t i;

	json_array_foreach (answer_list(identity, "groups"), i, path) {
		int fd = json_is_string(path) && join->door_count < EXEC_DOORS_MAX
				 ? open(json_string_value(path), O_WRONLY | O_CLOEXEC)
				 : -1;

		if (fd >= 0)
			join->doors[join->door_count++] = fd;
	}
}

int exec_join_open(struct exec_join *join, const json_t *identity, const char *target,
	const struct become *who, struct ten_error *err)
{
	int64_t pid = answer_number(identity, "pid"), start = answer_number(identity, "pid_start");
	uint32_t wanted = who->uid == BECOME_KEEP ? geteuid() : who->uid, uid;

	const char *level = answer_text(identity, "isolation");

	*join = (struct exec_join){ .process = -1 };
	/* (earlier daemons said nothing of it) */
	if (!*level || strcmp(level, "process") == 0)
		return 0;
	if (pid <= 0)
		return ten_error_set(err, 0,
			"%s has no process whose view of the world this could be: `ten start %s` "
			"first",
			target, target);
	join->process = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	/* It says nothing of another than the one that is meant, whoever the daemon is. */
	if (join->process < 0 || !process_is((pid_t)pid, (uint64_t)start) ||
		uid_of((pid_t)pid, &uid) < 0)
		return ten_error_set(err, 0, "the process of %s has just ended", target);
	if (uid != wanted)
		return ten_error_set(err, 0, "process %d is not one of %s", (int)pid, target);
	join->namespaces = differing((pid_t)pid);
	open_doors(join, identity);
	return 0;
}

void exec_join_close(struct exec_join *join)
{
	if (join->process >= 0)
		close(fd_steal(&join->process));
	while (join->door_count)
		close(join->doors[--join->door_count]);
}

/* What the terminal sends is the command's to answer; with a guard (exec_guard.h) all that is sent
 * to the group. */
static void wait_for(pid_t child, bool guarded)
{
	int status = 0;

	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	if (guarded) {
		signal(SIGHUP, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALED + WTERMSIG(status));
}

int exec_join_go(struct exec_join *join, struct ten_error *err)
{
	pid_t child;

	if (join->process < 0)
		return 0;
	if (join->namespaces & CLONE_NEWUSER && geteuid() == 0 && setgroups(0, NULL) < 0)
		return ten_error_set(err, errno, "giving up our groups");
	if (setns(join->process, join->namespaces) < 0)
		return ten_error_set(err, errno, "entering its namespaces");
	/* In there are processes of the uid that we are to have, or have already. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	child = fork();
	if (child < 0)
		return ten_error_set(err, errno, "a process in its namespaces");
	if (child > 0)
		wait_for(child, join->guarded);
	for (size_t i = 0; i < join->door_count; i++)
		if (write(join->doors[i], "0", 1) != 1 && geteuid() == 0)
			return ten_error_set(err, errno, "entering its control groups");
	exec_join_close(join);
	return 0;
}
