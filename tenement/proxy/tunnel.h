/*
 * An upgraded connection: bytes both ways until both sides have closed. One side's end is passed on
 * as an end of that direction alone.
 */
#ifndef TEN_PROXY_TUNNEL_H
#define TEN_PROXY_TUNNEL_H

struct exchange;

/* The tenant has answered 101; its head is in .top. */
void tunnel_begin(struct exchange *exchange);

/* After these events of either side. */
void tunnel_event(struct exchange *exchange, int client_events, int upstream_events);

#endif
