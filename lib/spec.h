/*
 * How a ten_spec comes to be: the layers laid over each other, judged as one tenant.
 * (The struct itself, spec_ref(), spec_unref() and spec_interpolate() are in config_set.h.)
 */
#ifndef TEN_SPEC_H
#define TEN_SPEC_H

#include "config_file.h"
#include "config_set.h"

struct spec_layers {
	const struct service_values *service_defaults;
	const struct tenant_values *tenant_defaults;
	const struct setting_values *settings;
	const struct machine *machine;          /* NULL: nothing is known of it */
	const struct config_file *service_file; /* and the one of its services that is meant */
	const struct config_service *service;
	const struct config_file *tenant_file; /* likewise */
	const struct config_tenant *tenant;
};

/* What is wrong with the layers as one tenant, and which layer says it. */
struct spec_fault {
	enum { SPEC_FAULT_SERVICE, SPEC_FAULT_TENANT } layer;
	struct config_at at;
	char *message; /* owned */
};

struct spec_faults {
	struct spec_fault *items;
	size_t count;
};

void spec_faults_clear(struct spec_faults *faults);

/* A spec with one reference, the caller's. NULL: *FAULTS, which comes empty, says why. */
const struct ten_spec *spec_merge(const struct spec_layers *layers, struct spec_faults *faults);

/* What tenants have in common that leave all to their service. A service's declaration has it from
 * the first merge on. */
void spec_common_unref(const struct spec_common *common); /* NULL is allowed */

/* Whether two specs ask for the same (NULL: for nothing). */
bool spec_same(const struct ten_spec *a, const struct ten_spec *b);

#endif
