/*
 * Which files of conf.d are ten's own: {data_dir}/.tenement/owned, a line "HASH NAME" each with the
 * hash of what ten wrote. Tools never edit a file that they did not write.
 */
#ifndef TEN_OWNED_H
#define TEN_OWNED_H

#include "daemon/daemon.h"

enum owned_state {
	OWNED_NOT,     /* somebody else's */
	OWNED_OURS,    /* as ten wrote it */
	OWNED_CHANGED, /* ten's, and changed by hand since */
};

/* TEXT is what is on disk now. */
enum owned_state owned_state(struct daemon *d, const char *name, const char *text, size_t len);
int owned_set(
	struct daemon *d, const char *name, const char *text, size_t len, struct ten_error *err);
int owned_drop(struct daemon *d, const char *name, struct ten_error *err);

/* All of it as text, which the caller frees (NULL: it cannot be read); and all of it as it was
 * then, after what came to nothing. */
char *owned_snapshot(struct daemon *d);
void owned_restore(struct daemon *d, const char *snapshot);

/* The names, an owned strv or NULL. */
char **owned_names(struct daemon *d);

#endif
