/*
 * What of the configuration says which requests do not wake a tenant, and how often one may be
 * woken: published once for a service, and for those of its tenants alone that say otherwise.
 */
#ifndef TEN_PUBLISH_WAKE_H
#define TEN_PUBLISH_WAKE_H

#include "daemon/instance.h"

/* Where it is said of a tenant with SPEC. */
enum route_wake_of publish_wake_of(struct daemon *d, const struct ten_spec *spec);

/* Publish what is INSTANCE's own, or what all of SERVICE have in common; or take it out. */
int publish_wake_instance(struct daemon *d, const struct instance *instance, struct ten_error *err);
int publish_wake_service(struct daemon *d, const char *service, struct ten_error *err);

/* Whether the present configuration asks for what is published under NAME. */
bool publish_wake_is_wanted(struct daemon *d, const char *name);

#endif
