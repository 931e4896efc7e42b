/*
 * Sockets that are there before their tenant: made by the daemon, passed as descriptor 3
 * (LISTEN_FDS, as sd_listen_fds(3) has it), kept by the keeper for as long as the tenant is
 * declared so. What comes while it sleeps or is restarted waits in the socket's queue and loses
 * nothing.
 */
#ifndef TEN_ACTIVATION_H
#define TEN_ACTIVATION_H

#include "daemon/instance.h"

#define ACTIVATION_FD    3
#define ACTIVATION_BLANK "          " /* LISTEN_PID, until the pid is known */

/* The socket of RUN: the one that is there, or a new one at run->socket_path. */
int activation_prepare(struct daemon *d, struct instance *instance, struct ten_error *err);
int activation_fd(const struct instance *instance); /* -1: it has none */

/* In the child: the descriptor and its environment as they are to be. FD is the socket. */
int activation_pass(int fd, char **env);

/* Close it for good; who is in its queue is told that the application is down. */
void activation_drop(struct daemon *d, struct instance *instance);

/* INSTANCE has come to another state: while it sleeps, its socket wakes it; while it is down, the
 * socket says so. */
void activation_state_is(struct daemon *d, struct instance *instance);

/* Its process was just started and is ready without having taken anything from the socket: see to
 * it that it does. Ends with lifecycle_took() or lifecycle_did_not_take(). */
void activation_boot_start(struct daemon *d, struct instance *instance);
void activation_boot_stop(struct daemon *d, struct run *run);

/* What the keeper held for a daemon before us. After the configuration was loaded. */
void activation_take_over(struct daemon *d);

#endif
