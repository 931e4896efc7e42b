/*
 * What tenement/dashboard/ holds, made into C by its script `embed`.
 */
#ifndef TEN_DASHBOARD_FILES_H
#define TEN_DASHBOARD_FILES_H

#include <stddef.h>

struct dashboard_file {
	const char *name, *type, *etag;
	const unsigned char *data;
	size_t len;
	const unsigned char *packed; /* by gzip; NULL: it was not at hand when this was built */
	size_t packed_len;
};

extern const struct dashboard_file dashboard_files[];
extern const size_t dashboard_file_count;

#endif
