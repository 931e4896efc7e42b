/*
 * Large bodies on their way to a tenant: their pages are moved from socket to socket through a pipe
 * (splice(2)) and not copied. The other way it does not pay: a unix socket's bytes do not come in
 * pages that TCP could send as they are.
 */
#ifndef TEN_PROXY_PIPE_H
#define TEN_PROXY_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/transport.h"

#define PIPE_BYTES (256 * 1024)
#define PIPES_MAX  64 /* per worker; the pipes of one user share a bound, pipe(7) */

struct worker;

struct pipe {
	struct pipe *next; /* among those that nobody uses */
	int out;           /* read here */
	int in;
	size_t bytes; /* that it holds */
};

/* An empty one; NULL: none is to be had, so copy. */
struct pipe *pipe_take(struct worker *worker);
void pipe_give(struct worker *worker, struct pipe *pipe);

/* Fill an empty pipe with up to MOST bytes from a socket; empty it into another. */
enum moved pipe_fill(struct pipe *pipe, int from, uint64_t most);
enum moved pipe_drain(struct pipe *pipe, int to, size_t *bytes);

/* Close those that nobody uses. Returns how many. */
uint32_t pipes_close(struct worker *worker);

#endif
