/*
 * Sticky picks: which of a weighted route's targets a visitor is sent to again.
 *
 * By cookie, the visitor brings the tag of the target that served them. A tag is a plain hash of
 * "service:id", the same in every process, after every restart and on every server; it needs no
 * secret, for who guesses an id learns as much by asking for {id}.{service}.{domain}, and a tag
 * leads to nobody but a target of that very route that takes traffic now.
 *
 * By address, every target draws a number from the visitor's address and its own tag, and the best
 * draw has the visitor (weighted rendezvous hashing). When weights change only the share moves that
 * has to: from targets that lost weight, to those that gained.
 */
#ifndef TEN_STICKY_H
#define TEN_STICKY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route_table.h"

enum sticky { STICKY_NONE, STICKY_COOKIE, STICKY_IP, STICKY_KINDS };
extern const char *const sticky_names[STICKY_KINDS];

/* The cookie is called so, followed by the service: a root domain may lead to several. */
#define STICKY_COOKIE_PREFIX "tenement_route_"
#define STICKY_COOKIES_MAX   8 /* of that name in one request that are looked at */
/* Room for sticky_set_cookie(), of a service's name of at most NAMES_MAX bytes. */
#define STICKY_SET_COOKIE_SIZE 192

/* The tag of instance NAME, "service:id". Never 0. */
uint64_t sticky_tag(const char *name);

/* A number for the visitor at ADDRESS: IPv4, IPv6 (of which the first 64 bits count, for the rest
 * changes by the day), or whatever else a trusted proxy calls its client. Never 0. */
uint64_t sticky_visitor(const char *address, size_t len);

/* Walk the values of SERVICE's cookie in one Cookie field: the next tag in the strict form that we
 * give out, or 0 when there is none left. *AT begins at 0. */
uint64_t sticky_cookie_next(const char *value, size_t len, const char *service, size_t *at);

/* The value of the Set-Cookie field that keeps a visitor at TAG. Returns its length, 0 when it
 * does not fit. */
size_t sticky_set_cookie(char *out, size_t size, const char *service, uint64_t tag);

/* The place of TAG among TARGETS; COUNT: it is not there. */
uint32_t sticky_find(const struct route_weighted_target *targets, uint32_t count, uint64_t tag);

/* The place of VISITOR's own among those of TARGETS that are USABLE, or among all where none is.
 * COUNT is above 0. */
typedef bool sticky_usable(const void *data, struct route_target target);
uint32_t sticky_pick(const struct route_weighted_target *targets, uint32_t count, uint64_t visitor,
	sticky_usable *usable, const void *data);

#endif
