/*
 * A process that the daemon starts beside itself, for what may take long: its loop is told of the
 * end.
 */
#ifndef TEN_HELPER_H
#define TEN_HELPER_H

#include <signal.h>

#include "daemon/daemon.h"

struct helper;
/* END is as of waitid(2); HELPER is free again, to be forgotten or begun anew. */
typedef void helper_over(struct daemon *d, struct helper *helper, const siginfo_t *end);

struct helper {
	pid_t pid; /* 0: there is none */
	int fd;    /* its pidfd, while there is one */
	helper_over *over;
	ev_io ended;
};

/* As fork(2), and OVER is told of its end. The child hears signals as any other program does and is
 * killed when the daemon ends (setuid() undoes that); it has the daemon's descriptors, its lock
 * above all, until it execs or closes them. -1, with errno, also when it could not be waited for:
 * then there is none. */
pid_t helper_fork(struct daemon *d, struct helper *helper, helper_over *over);

/* Our own program once more, as ARGV, without a copy of the daemon's memory; of its descriptors it
 * has 0 to 2 and these. -1, with errno. */
struct helper_fd {
	int fd, as;
};
int helper_spawn(struct daemon *d, struct helper *helper, char *const *argv,
	const struct helper_fd *fds, size_t count, helper_over *over);

/* Another program, as ENV, at the head of a process group of its own: by descriptors that are its 0
 * to 2, or by a terminal, which becomes that of a session of its own. -1, with errno. */
struct helper_program {
	const char *path;
	char *const *argv, *const *env;
	int fds[3];
	const char *terminal; /* NULL: none; then of 0 to 2 */
};
int helper_spawn_program(struct daemon *d, struct helper *helper,
	const struct helper_program *program, helper_over *over);

/* Kill it, if there is one, and OVER will be told. */
void helper_kill(struct helper *helper);

/* There is one no more: killed, waited for; OVER is not told. */
void helper_end(struct daemon *d, struct helper *helper);

#endif
