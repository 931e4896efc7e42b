/*
 * What a spec says of the file system that its tenant sees: whether it can mean what it says.
 */
#ifndef TEN_SPEC_VIEW_H
#define TEN_SPEC_VIEW_H

#include "spec.h"

/* One path of read_only_paths and the like, as it is written. */
int spec_view_check_path(const char *text, struct ten_error *err);

/* Of SPEC as a whole: nothing without effect, nothing that would show what is kept from tenants. */
void spec_view_check(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults);

#endif
