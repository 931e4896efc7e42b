/*
 * Texts with {placeholders}: "{data_dir}/{id}". "{{" stands for "{" and "}}" for "}"; a "}" by
 * itself is itself.
 */
#ifndef TEN_SPEC_TEMPLATE_H
#define TEN_SPEC_TEMPLATE_H

#include "error.h"

enum spec_placeholder {
	PLACEHOLDER_NAME, /* of the service */
	PLACEHOLDER_ID,
	PLACEHOLDER_DATA_DIR,
	PLACEHOLDER_DIR,
	PLACEHOLDER_PORT,
	PLACEHOLDER_SOCKET,
	PLACEHOLDER_VERSION,
	PLACEHOLDER_RUNTIME_DIR,
	PLACEHOLDER_COUNT,
};

#define PLACEHOLDERS_ALL ((1u << PLACEHOLDER_COUNT) - 1)
/* What is known of a tenant before a socket and a port are chosen for it. */
#define PLACEHOLDERS_EARLY                                                                         \
	(PLACEHOLDERS_ALL & ~((1u << PLACEHOLDER_PORT) | (1u << PLACEHOLDER_SOCKET)))

/* What tells tenants apart, and leads to no folder that is theirs. */
#define PLACEHOLDERS_OF_SECRETS                                                                    \
	(1u << PLACEHOLDER_NAME | 1u << PLACEHOLDER_ID | 1u << PLACEHOLDER_VERSION)

/* 0 when every placeholder of TEXT is one of the set ALLOWED (bits by spec_placeholder). */
int spec_template_check(const char *text, unsigned allowed, struct ten_error *err);

/* TEXT with VALUES filled in; the caller frees. NULL: one is unknown, or its value is NULL. */
char *spec_template_fill(
	const char *text, const char *const values[PLACEHOLDER_COUNT], struct ten_error *err);

/* TEXT such that filling it in gives TEXT again. The caller frees. */
char *spec_template_escape(const char *text);

#endif
