/*
 * The request's head: read, parsed, rewritten for the tenant and sent on its way.
 */
#ifndef TEN_PROXY_REQUEST_H
#define TEN_PROXY_REQUEST_H

struct exchange;

/* The client's socket is readable. */
void request_read(struct exchange *exchange);

/* Parse what .up holds from its .ready on; if that is a whole head go on with it. */
void request_parse(struct exchange *exchange);

#endif
