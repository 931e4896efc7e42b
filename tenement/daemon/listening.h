/*
 * Who listens: asked of the kernel (sock_diag(7)), so that no connection has to be made and a
 * stranger on a tenant's port is told from the tenant.
 */
#ifndef TEN_LISTENING_H
#define TEN_LISTENING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "error.h"

/* PLACE: a socket of NETLINK_SOCK_DIAG in another network namespace; NULL: in ours. */
struct nl_sock;

/* Who would be reached at ADDRESS (IPv4, host order) and PORT. Returns 1 with *uid and the socket's
 * *inode, 0 when nobody listens, -1. */
int listening_on_port(struct nl_sock *place, uint32_t address, uint16_t port, uint32_t *uid,
	uint32_t *inode, struct ten_error *err);

/* Whether somebody listens on the socket whose file FILE is (by stat). 1, 0, -1: the kernel does
 * not tell here. No connection is made, which a simple program might not expect. */
int listening_on_file(struct nl_sock *place, const struct stat *file);

/* How many wait in the queue of FD, a unix socket of ours that listens. -1: the kernel does not
 * tell here. */
int listening_queue(int fd);

/* Whose is the socket of this machine at ADDRESS and PORT that is connected to TO and TO_PORT. 1
 * with *uid; 0: nobody holds it any more; -1: the kernel does not tell. */
int listening_peer(
	const char *address, uint16_t port, const char *to, uint16_t to_port, uint32_t *uid);

#endif
