/*
 * Datagrams with descriptors: unix(7) SCM_RIGHTS over SOCK_SEQPACKET.
 */
#ifndef TEN_PASSING_H
#define TEN_PASSING_H

#include <sys/types.h>

#include "wire.h"

#define PASSING_FDS_MAX 8

struct passing {
	char bytes[WIRE_BYTES];
	ssize_t len;              /* 0: the other side is gone */
	int fds[PASSING_FDS_MAX]; /* owned by the receiver, close-on-exec */
	int fd_count;
	struct wire wire;
};

/* Send BUFFER and the FD_COUNT descriptors, which stay the caller's. -1 with errno set. */
int passing_send(int socket, const struct wire_buffer *buffer, const int *fds, int fd_count);

/* Receive one. Returns 1; 0 at end of file; -1 with errno (EAGAIN; EBADMSG: not a message, its
 * descriptors are closed). */
int passing_receive(int socket, struct passing *message);
void passing_close_fds(struct passing *message); /* those that nobody took (set taken ones to -1) */

#endif
