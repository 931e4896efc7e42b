/*
 * Declaring and undeclaring by writing files of ten's own into conf.d.
 */
#ifndef TEN_DECLARE_H
#define TEN_DECLARE_H

#include "daemon/daemon.h"

/* Write conf.d/SERVICE-ID.toml, and load it at once. *file is the caller's, its name. */
int declare_tenant(struct daemon *d, const char *service, const char *id, const char *author,
	char **file, struct ten_error *err);

/* The same with a weight of its own. */
int declare_tenant_weighing(struct daemon *d, const char *service, const char *id, uint32_t weight,
	const char *author, char **file, struct ten_error *err);
/* Set the weight of KEY where its file is still what declare_tenant_weighing() wrote with 0;
 * EEXIST: it is not. */
int declare_weight(struct daemon *d, const char *key, uint32_t weight, const char *author,
	struct ten_error *err);

/* A request came for an id that nobody declared: the same, if its service allows it. */
int declare_undeclared(
	struct daemon *d, const char *service, const char *id, struct ten_error *err);

/* Remove the file that declares KEY, if it is ten's own and declares nothing else. */
int declare_remove(
	struct daemon *d, const char *key, const char *author, char **file, struct ten_error *err);

/* Write conf.d/SERVICE.route.toml with SPLIT ("v1=95,v2=5"), unless it is somebody else's. */
int declare_split(struct daemon *d, const char *service, const char *split, const char *author,
	struct ten_error *err);

/* Write the state of KEY into its file, where that is ten's own. */
int declare_state(struct daemon *d, const char *key, const char *state, const char *author,
	struct ten_error *err);

#endif
