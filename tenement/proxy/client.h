/*
 * A client's connection. Between requests it holds no buffer and no exchange, only its descriptor.
 */
#ifndef TEN_PROXY_CLIENT_H
#define TEN_PROXY_CLIENT_H

#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "route_table.h"
#include "proxy/deadline.h"

struct worker;
struct exchange;
struct handover_client;
struct proxy_protocol;

enum client_introduction {
	CLIENT_INTRODUCED,       /* who it is is known: whom its socket says */
	CLIENT_TO_BE_INTRODUCED, /* by a PROXY header, before its first request */
};

enum client_state {
	CLIENT_IDLE,   /* waits for the first byte of a request */
	CLIENT_BUSY,   /* has an exchange */
	CLIENT_LINGER, /* all is said; reads on a little so that the answer is not lost to a reset
			*/
	CLIENT_CLOSED,
};

struct client {
	struct worker *worker;
	struct client *next; /* in the worker's list */
	struct client *prev;
	ev_io io;
	enum client_state state;
	enum client_introduction introduction;
	struct deadline deadline; /* idle and lingering */
	struct exchange *exchange;
	uint64_t idle_since_ms;
	bool for_api;              /* its listener is for the management API alone */
	bool unseen;               /* the loop has not been given its descriptor yet */
	bool served;               /* at least one request */
	bool parsing;              /* client_next() is on the stack */
	bool more;                 /* and shall go round again */
	uint64_t trust_generation; /* of the settings by which .trusted was decided */
	bool trusted;              /* its X-Forwarded-* are believed */
	bool counted;              /* for the max_connections of counted_for */
	bool peer_counted;         /* for max_connections_per_ip, at peer_place */
	bool turned_away;          /* by that */
	struct route_target counted_for;
	uint32_t peer_place;
	bool has_address;
	uint8_t address[16];         /* IPv4 as ::ffff:a.b.c.d */
	char peer[INET6_ADDRSTRLEN]; /* "unknown" where the peer has no address */
};

/* Takes FD over. */
void client_open(struct worker *worker, int fd, const struct sockaddr_storage *peer,
	enum client_introduction introduction, bool for_api);

/* Its PROXY header is there. False: it is not let in, and has been answered; it is closed or about
 * to be. */
bool client_introduce(struct client *client, const struct proxy_protocol *header);

/* Takes FD over, with what another worker knew of it; it is idle. */
void client_adopt(struct worker *worker, int fd, const struct handover_client *state);

/* A request begins: decide by the present settings whether its peer is trusted. */
void client_trust(struct client *client);

/* The exchange is through: begin the next one, wait for it, or close. */
void client_next(struct client *client);

/* All that is to be written has been: say so to the peer, read a little on, close. */
void client_linger(struct client *client);

void client_close(struct client *client);

/* Ask the loop for EVENTS of an open descriptor and no others. */
void client_watch(struct client *client, int events);

/* Close up to COUNT of those that have been idle for longest, but none that has only just come and
 * not had the time to say anything. Returns how many. */
uint32_t client_shed(struct worker *worker, uint32_t count);

/* Close all that are idle, but for those whose next request is there already: it is served. */
void client_close_idle(struct worker *worker);

/* Make free for use what was closed in this turn. */
void client_reap(struct worker *worker);

#endif
