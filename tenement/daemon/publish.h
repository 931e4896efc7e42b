/*
 * From what is wanted and what is so to the routing table.
 */
#ifndef TEN_PUBLISH_H
#define TEN_PUBLISH_H

#include "daemon/instance.h"
#include "sticky.h"

/* Where INSTANCE is reached and its bounds. */
int publish_instance(struct daemon *d, struct instance *instance, struct ten_error *err);

/* Its host names; those that its earlier spec had and this one has not are taken out. */
int publish_hosts(struct daemon *d, struct instance *instance, struct ten_error *err);
void publish_remove_hosts(struct daemon *d, struct instance *instance);

/* {service}.{domain}, its aliases from [routing.subdomain], and *.{service}.{domain}. */
int publish_route(struct daemon *d, const char *service, struct ten_error *err);

/* The root domain and the proxy's settings. */
int publish_settings(struct daemon *d, struct ten_error *err);

/* After taking over a table of an earlier life: take out all that is not wanted any more. */
void publish_sweep(struct daemon *d);

/* The weights of SERVICE as they are in force: from its override, its [route], or by `balance`.
 * The caller frees both. */
struct publish_split {
	char *id;
	uint32_t weight;
};
size_t publish_split_of(
	struct daemon *d, const char *service, struct publish_split **split, const char **source);
/* How its visitors are kept: by its [route], else by the service. */
enum sticky publish_sticky_of(struct daemon *d, const char *service);
/* What INSTANCE has of its service's traffic, as in force: by the split if there is one, else what
 * it says itself. */
uint32_t publish_weight_of(struct daemon *d, const struct instance *instance);
/* The split of SERVICE's [route] as text, "" without one; the caller frees. */
char *publish_declared_split(struct daemon *d, const char *service);
/* The number of SERVICE among the board's counters. */
uint32_t publish_counter_of(struct daemon *d, const char *service);
void publish_split_free(struct publish_split *split, size_t count);

#endif
