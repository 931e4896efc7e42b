/*
 * The little of WebSockets (RFC 6455) that is needed where they pass through: what a run of bytes
 * from a client is, and how an end is said.
 */
#ifndef TEN_WEBSOCKET_H
#define TEN_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the LEN bytes at DATA are whole pings of a client and nothing else. What begins or ends
 * in the midst of a frame is not. */
bool websocket_is_pings(const char *data, size_t len);

/* A server's close frame with status 1001, "going away". */
#define WEBSOCKET_GOING_AWAY       "\x88\x02\x03\xe9"
#define WEBSOCKET_GOING_AWAY_BYTES 4

#endif
