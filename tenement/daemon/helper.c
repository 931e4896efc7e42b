#include "daemon/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"

static void forget(struct daemon *d, struct helper *helper)
{
	ev_io_stop(d->loop, &helper->ended);
	close(helper->fd);
	helper->fd = -1;
	helper->pid = 0;
}

static void on_ended(struct ev_loop *loop, ev_io *io, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct helper *helper = io->data;
	siginfo_t end = { 0 };

	(void)events;
	if (waitid(P_PID, (id_t)helper->pid, &end, WEXITED | WNOHANG) == 0 && end.si_pid == 0)
		return; /* not yet */
	forget(d, helper);
	helper->over(d, helper, &end);
}

static int watch(struct daemon *d, struct helper *helper, pid_t pid, helper_over *over)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int because = errno;

	if (fd < 0) {
		/* It cannot be waited for without waiting: there must be none. */
		kill(pid, SIGKILL);
		waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED);
		errno = because;
		return -1;
	}
	helper->pid = pid;
	helper->fd = fd;
	helper->over = over;
	ev_io_init(&helper->ended, on_ended, fd, EV_READ);
	helper->ended.data = helper;
	ev_io_start(d->loop, &helper->ended);
	return 0;
}

pid_t helper_fork(struct daemon *d, struct helper *helper, helper_over *over)
{
	pid_t self = getpid(), pid;
	sigset_t before;
	int because;

	process_hold_signals(&before);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(0);
		process_hear_signals();
		return 0;
	}
	because = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = because;
	return pid > 0 && watch(d, helper, pid, over) < 0 ? -1 : pid;
}

/* FLAGS beside those that have it hear signals as any other program. */
static int start(struct daemon *d, struct helper *helper, const struct helper_program *program,
	posix_spawn_file_actions_t *files, short flags, helper_over *over)
{
	posix_spawnattr_t how;
	sigset_t none, all;
	pid_t pid;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	if (!flags)
		sigdelset(&all, SIGPIPE); /* ignored in our own as it is here */
	posix_spawnattr_init(&how);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags);
	rc = posix_spawn(&pid, program->path, files, &how, program->argv, program->env);
	posix_spawn_file_actions_destroy(files);
	posix_spawnattr_destroy(&how);
	if (rc == 0)
		return watch(d, helper, pid, over);
	errno = rc;
	return -1;
}

int helper_spawn(struct daemon *d, struct helper *helper, char *const *argv,
	const struct helper_fd *fds, size_t count, helper_over *over)
{
	struct helper_program program = { .path = "/proc/self/exe", .argv = argv, .env = environ };
	posix_spawn_file_actions_t files;

	posix_spawn_file_actions_init(&files);
	for (size_t i = 0; i < count; i++)
		posix_spawn_file_actions_adddup2(&files, fds[i].fd, fds[i].as);
	return start(d, helper, &program, &files, 0, over);
}

int helper_spawn_program(struct daemon *d, struct helper *helper,
	const struct helper_program *program, helper_over *over)
{
	posix_spawn_file_actions_t files;

	posix_spawn_file_actions_init(&files);
	/* (the first terminal that the leader of a session opens is the session's) */
	if (program->terminal)
		posix_spawn_file_actions_addopen(&files, 0, program->terminal, O_RDWR, 0);
	for (int fd = program->terminal ? 1 : 0; fd < 3; fd++)
		posix_spawn_file_actions_adddup2(
			&files, program->terminal ? 0 : program->fds[fd], fd);
	return start(d, helper, program, &files,
		program->terminal ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP, over);
}

void helper_kill(struct helper *helper)
{
	if (helper->pid)
		kill(helper->pid, SIGKILL);
}

void helper_end(struct daemon *d, struct helper *helper)
{
	if (!helper->pid)
		return;
	kill(helper->pid, SIGKILL);
	waitid(P_PID, (id_t)helper->pid, &(siginfo_t){ 0 }, WEXITED);
	forget(d, helper);
}
