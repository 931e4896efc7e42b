/*
 * The configuration files on disk: which there are, which may have changed, and bringing what
 * they say into force. Removals go through the blast-radius guard.
 */
#ifndef TEN_CONFDIR_H
#define TEN_CONFDIR_H

#include "daemon/daemon.h"

/* Watch first, scan second. The files as last accepted in an earlier life are seeds. */
int confdir_start(struct daemon *d, struct ten_error *err);

/* Events mark; confdir_load() acts, once per turn of the loop. */
void confdir_mark(struct daemon *d, const char *name);
void confdir_mark_meant(struct daemon *d, const char *name); /* its removal was asked for by name */
void confdir_rescan(struct daemon *d);
void confdir_rearm(
	struct daemon *d); /* the folder itself may be another: watch it anew, and rescan */
void confdir_confirm(struct daemon *d); /* held removals and settings may go on */
void confdir_load(struct daemon *d);

/* Whose doing the next accepted change is, for the history: "apply (uid 0)". */
void confdir_set_author(struct daemon *d, const char *author);

/* Whether NAME is one that is read at all: ends in .toml, no dotfile, no editor's leaving. */
bool confdir_is_config_name(const char *name);

/* For status. */
struct confdir_status {
	const char *problem; /* with the folder as a whole; NULL: none */
	bool held;
	const char *held_why;
	char **held_files; /* borrowed, NULL-terminated */
	char **held_instances;
	char **confirm;        /* settings that wait for --confirm */
	char **restart_needed; /* and those that wait for the next start */
	bool waiting;          /* changes are known and not in force yet */
};
void confdir_status(struct daemon *d, struct confdir_status *status);

/* The text of file NAME as it is on disk now, as the set would be given it; the caller frees.
 * NULL: gone (err->code ENOENT) or not to be read. */
char *confdir_read(struct daemon *d, const char *name, size_t *len, struct ten_error *err);

#endif
