/*
 * tenement-keeper: the parent of daemon, proxy workers and log writer, and what they may not die
 * with: listening sockets, shared memory, log pipes, exit statuses. It decides nothing: the daemon
 * says what to run and what to hold, the keeper runs it again when it ends.
 */
#ifndef TEN_KEEPER_H
#define TEN_KEEPER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/passing.h"
#include "text.h"

/* ---- store.c: descriptors by name ---- */
void store_put(const char *name, int fd); /* takes FD; replaces */
void store_drop(const char *name);
int store_get(const char *name); /* -1: none */
void store_each(void (*visit)(void *data, const char *name, int fd), void *data);

/* ---- inherited.c: what a program is given of them ---- */
struct inherited {
	struct text names;
	int *fds;
	size_t count;
};
void inherited_add(struct inherited *list, const char *name, int fd);
/* FD_LIST is a comma list of stored names, "prefix*" for all that begin so. */
void inherited_add_all(struct inherited *list, const char *fd_list);
void inherited_free(struct inherited *list);
/* Between fork and exec: put them where the program looks for them; an error ends it with 127. */
void inherited_place(struct inherited *list);

/* ---- children.c: programs that are run again when they end ---- */

#define DAEMON_NAME "daemon"
#define LOGGER_NAME "logger"

enum child_mode {
	CHILD_KEPT,  /* run again when it ends */
	CHILD_TRIAL, /* not run again, and how it ended is told: whether it is any good is not known
		      * yet
		      */
	CHILD_RETIRED, /* replaced: it ends when it has finished, and is not run again */
	CHILD_HALTED,  /* told to end, and not run again */
};
extern const char *const child_mode_names[];

/* Run ARGV as NAME from now on; when NAME runs already, only what it is run with next time changes.
 * FD_LIST as of inherited_add_all(). UID -1: as we are. */
void child_run(struct ev_loop *loop, const char *name, int64_t uid, int64_t gid,
	const char *fd_list, char *const *argv);
/* Run it once, on trial, until child_replace() makes it one that is kept. */
void child_try(struct ev_loop *loop, const char *name, int64_t uid, int64_t gid,
	const char *fd_list, char *const *argv);
/* NEW, which is on trial, takes the place of OLD, which is told by SIGUSR2: both or none, so that a
 * daemon that dies meanwhile leaves no place empty and none taken twice. */
void child_replace(struct ev_loop *loop, const char *old, const char *new);
/* It goes by itself, when it has finished. */
void child_retire(const char *name);
/* End it with SIGTERM (SIGKILL after a grace time) and do not run it again. */
void child_halt(struct ev_loop *loop, const char *name);
bool child_reap(
	struct ev_loop *loop);     /* all that have ended; false: there are no children at all */
pid_t child_pid(const char *name); /* 0: not running */
void child_signal(const char *name, int signal);
/* For the keeper that we become: tell renew_add() of each; take one over from such a message. */
void child_save(void);
void child_resume(struct ev_loop *loop, const struct wire *wire);
void child_each(
	void (*visit)(void *data, const char *name, pid_t pid, enum child_mode mode), void *data);
size_t child_count(void);
void child_halt_all(struct ev_loop *loop);
/* SIGKILL to our children that we did not start: tenants and what they left behind. */
void child_kill_strays(void);
void child_kill_all(struct ev_loop *loop); /* and to those that we did */

/* ---- link.c: the socket to the daemon ---- */
int link_open(struct ev_loop *loop); /* a new socketpair; returns the daemon's end or -1 */
void link_send_child(const char *name, pid_t pid, enum child_mode mode);
/* It ended for good. */
void link_send_gone(const char *name, enum child_mode mode, const char *how, int status);
void link_send_exit(pid_t pid, uint64_t start, const char *how, int status);
void link_send_shutdown(void);
void link_close(struct ev_loop *loop);
/* The daemon is gone: what it said before is heard first. */
void link_finish(struct ev_loop *loop);
void link_save(void); /* the exits, as child_save() */
void link_resume(const struct wire *wire);

/* ---- renew.c: becoming the program that is on disk now ---- */
void renew(char *const *argv); /* returns where it cannot be done, and says so */
void renew_add(const struct wire_buffer *buffer);
bool renew_resume(struct ev_loop *loop); /* false: this is a keeper's first life */

/* ---- main.c ---- */
extern bool keeper_stopping;
extern bool keeper_daemon_was_ready;
extern bool keeper_renews; /* when the daemon ends, for the next one */
void keeper_renew(void);
/* The daemon ended. Whether that was for good: it was told to, or never got as far as ready. */
bool keeper_daemon_over(bool exited, int status);
void keeper_give_up(void); /* it crashes again and again before it was ever ready */

#endif
