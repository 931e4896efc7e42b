/*
 * The daemon's side of its socket to the keeper (see keeper/link.c for the other).
 */
#ifndef TEN_KEEPER_LINK_H
#define TEN_KEEPER_LINK_H

#include "daemon/daemon.h"

/* Ask for what the keeper knows, take it in, and listen from now on. */
int keeper_link_start(struct daemon *d, struct ten_error *err);

void keeper_link_store(struct daemon *d, const char *name, int fd);
void keeper_link_drop(struct daemon *d, const char *name);
/* Run ARGV (NULL-terminated) as child NAME. UID UINT32_MAX: as we are. */
void keeper_link_run(struct daemon *d, const char *name, uint32_t uid, uint32_t gid,
	const char *fd_list, char *const *argv);
/* Run it once, on trial; then it may take the place of OLD, which is told to leave; or leave. */
void keeper_link_try(struct daemon *d, const char *name, uint32_t uid, uint32_t gid,
	const char *fd_list, char *const *argv);
void keeper_link_replace(struct daemon *d, const char *old, const char *new);
void keeper_link_retire(struct daemon *d, const char *name);
void keeper_link_halt(struct daemon *d, const char *name);
void keeper_link_ready(struct daemon *d);
void keeper_link_renew(struct daemon *d); /* itself, when we end */

/* Whether PID is one of our own programs, as far as the keeper has said. */
bool keeper_link_is_child(pid_t pid);
/* All of those; PID 0: it does not run now. */
void keeper_link_each_child(void (*each)(void *data, const char *name, pid_t pid), void *data);

#endif
