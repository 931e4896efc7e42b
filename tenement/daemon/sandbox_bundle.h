/*
 * What gVisor is told of a container, as the Open Container Initiative has it: a config.json made
 * of a tenant's command and view.
 */
#ifndef TEN_SANDBOX_BUNDLE_H
#define TEN_SANDBOX_BUNDLE_H

#include <stdint.h>

#include "error.h"
#include "view.h"

struct sandbox_bundle {
	const char *folder;      /* where config.json and `empty`, an empty file, are */
	const struct view *view; /* sorted */
	char *const *kept; /* real paths that nothing with VIEW_ASKED may show; NULL at the end */
	char *const *argv;
	char *const *env;
	const char *workdir;
	const char *hostname;
	uint64_t nofile;
};

/* The text of config.json; the caller frees. NULL: *err says what of the view is not there, or is
 * kept from tenants. */
char *sandbox_bundle_config(const struct sandbox_bundle *bundle, struct ten_error *err);

#endif
