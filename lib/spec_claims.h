/*
 * Claims: folders below data_dir, outside the tenant's own, that its environment names and that
 * have its id as a component, as DATA_DIR = "{data_dir}/{id}" does.
 */
#ifndef TEN_SPEC_CLAIMS_H
#define TEN_SPEC_CLAIMS_H

#include "spec.h"

/* Fill in SPEC's claims, and FAULTS with paths that leave data_dir. */
void spec_claims_find(
	struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults);
void spec_claims_free(char **claims);

#endif
