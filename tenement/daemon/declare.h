/*
 * Declaring and undeclaring by writing files of ten's own into conf.d.
 */
#ifndef TEN_DECLARE_H
#define TEN_DECLARE_H

#include "daemon/daemon.h"

/* Write conf.d/SERVICE-ID.toml, and load it at once. *file is the caller's, its name. */
int declare_tenant(struct daemon *d, const char *service, const char *id, const char *author,
	char **file, struct ten_error *err);

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
