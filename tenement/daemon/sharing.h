/*
 * How the traffic of a service is shared out by hand: laid over what is declared, or declared.
 */
#ifndef TEN_SHARING_H
#define TEN_SHARING_H

#include <jansson.h>

#include "daemon/instance.h"
#include "daemon/publish.h"

#define SHARING_WEIGHT_MAX 10000

enum sharing_way { SHARING_OVERRIDE, SHARING_DECLARE };

/* The part of ID; NULL: it has none, or it is added with weight 0. */
struct publish_split *sharing_find(struct publish_split *split, size_t count, const char *id);
struct publish_split *sharing_find_or_add(
	struct publish_split **split, size_t *count, const char *id);

/* Put SPLIT in force for SERVICE. On failure err->code EEXIST says that somebody else's file is in
 * the way. */
int sharing_put(struct daemon *d, const char *service, const struct publish_split *split,
	size_t count, enum sharing_way way, const char *by, struct ten_error *err);

/* Set the weight of INSTANCE alone: where `balance` shares the traffic it is the instance's, where
 * a route does, the route's. Likewise; ENOENT: no traffic is shared out for its service. */
int sharing_set_weight(struct daemon *d, struct instance *instance, uint32_t weight,
	enum sharing_way way, const char *by, struct ten_error *err);

/* {"v1": 95, "v2": 5}. */
json_t *sharing_json(struct daemon *d, const char *service);

/* Whether every worker knows what was published. *GENERATION is 0 at first, and asked for after the
 * turn that published. */
bool sharing_is_seen(struct daemon *d, uint64_t *generation);

#endif
