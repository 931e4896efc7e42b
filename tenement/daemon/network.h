/*
 * Which network a tenant's process has: the machine's, with its port closed to others; none but a
 * loopback; or one of its own, an address at the end of a link. Of the last two, each process has
 * a namespace of its own, which goes with it.
 *
 *	network_prepare()  before the fork: what it will have
 *	network_open()     between the fork and its go: all of it is in force before it begins
 *	network_close()    when it has ended
 */
#ifndef TEN_NETWORK_H
#define TEN_NETWORK_H

#include <stdint.h>

#include "daemon/instance.h"

/* When the processes of an earlier life are known. */
void network_start(struct daemon *d);
void network_stop(struct daemon *d); /* the end of the tenement: nothing of it stays */

int network_prepare(struct daemon *d, struct run *run, struct ten_error *err);
uint64_t network_clone_flags(const struct run *run);
int network_open(struct daemon *d, struct run *run, struct ten_error *err);
void network_close(struct daemon *d, struct run *run);

/* What may change while it runs: egress and bandwidth. */
void network_update(struct daemon *d, struct instance *instance);

/* What can wait for the end of a turn of the loop. */
void network_turn(struct daemon *d);

/* For listening.h: a socket that sees what listens where RUN is; NULL: where we are ourselves, or,
 * with *unseen, nobody can look. */
struct nl_sock *network_diag(struct run *run, bool *unseen);
void network_diag_close(struct run *run);

/* A line for `ten status`: what is not as closed as it is meant to be; NULL: nothing. The caller
 * frees. */
char *network_problem(const struct daemon *d);

/* What it is, for people: "private 10.90.0.3"; the caller frees. */
char *network_describe(const struct run *run);

/* For its record: one line; and back, from what is in TEXT of it (programs before wrote none). */
char *network_record(const struct run *run);
void network_recall(struct run *run, const char *text);

/* Add what this machine cannot give. */
void network_find_lacks(struct daemon *d);

#endif
