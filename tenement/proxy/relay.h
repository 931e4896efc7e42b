/*
 * The bytes of an exchange: the request to the tenant, the answer to the client. A window is filled
 * again only when it has been emptied, so a slow reader holds up its own sender and nobody else.
 */
#ifndef TEN_PROXY_RELAY_H
#define TEN_PROXY_RELAY_H

struct exchange;

/* The exchange has a connection: send the head, and what there is of the body. */
void relay_begin(struct exchange *exchange);

/* More of the request, to the tenant; more of the answer, to the client. Both may end the exchange.
 */
void relay_up(struct exchange *exchange);
void relay_down(struct exchange *exchange);

/* An answer of our own. */
void relay_answer(struct exchange *exchange);

/* What to wait for, and until when, follows from the buffers. */
void relay_watch(struct exchange *exchange);

#endif
