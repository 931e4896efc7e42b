/*
 * The head that goes out for the head that came in: hop-by-hop fields dropped and made anew, what
 * says where a request comes from set by us, everything else as it was.
 */
#ifndef TEN_PROXY_REWRITE_H
#define TEN_PROXY_REWRITE_H

#include <stdbool.h>

#include "http_head.h"

struct exchange;

struct client;

/* The address that a request comes from: its connection's, or what a trusted proxy says. */
struct http_text rewrite_real_address(const struct client *client, const struct http_head *head);
/* Whether a trusted proxy says that it came by TLS. */
bool rewrite_is_https(const struct client *client, const struct http_head *head);

/* Write the request's head for the tenant into EXCHANGE's .top. False: out of memory. */
bool rewrite_request(struct exchange *exchange, const struct http_head *head);

enum rewrite_connection {
	REWRITE_KEEP,
	REWRITE_CLOSE,
	REWRITE_UPGRADE, /* of a 101 */
	REWRITE_INTERIM, /* another 1xx: says nothing of the connection */
};

/* And the response's for the client. */
bool rewrite_response(struct exchange *exchange, const struct http_head *head,
	enum rewrite_connection connection);

#endif
