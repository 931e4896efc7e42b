/*
 * What a tenant sees of the file system, as data: a list of places and what is there. What lies
 * deeper goes before what lies above it, so that a folder is hidden and one in it shown all the
 * same. It is put to effect by common/enter.h.
 *
 * Pure: paths are text, absolute and without "..".
 */
#ifndef TEN_VIEW_H
#define TEN_VIEW_H

#include <stdbool.h>
#include <stddef.h>

enum view_kind {
	VIEW_HIDE,  /* an empty folder, or an empty file where there is one; not writable */
	VIEW_TMP,   /* an empty folder of its own, writable for all */
	VIEW_READ,  /* what is at .source, not writable */
	VIEW_WRITE, /* what is at .source */
	VIEW_SEAL,  /* what is there already, not writable */
	VIEW_DEV,   /* a /dev with the usual few */
	VIEW_PTS,   /* terminals of its own */
	VIEW_PROC,  /* its own processes */
};

enum view_flag {
	VIEW_OPTIONAL = 1, /* where the source is not there, nor is this */
	VIEW_NO_LINKS = 2, /* no part of the source may be a link */
	VIEW_ASKED = 4,    /* an operator wrote it: what is kept from tenants is refused */
	VIEW_FIRM = 8,     /* view_uncover() leaves this very place hidden */
	VIEW_OWN = 16,     /* the tenant's: what is in it may be a link that it has put there */
};

struct view_item {
	char *destination;
	enum view_kind kind;
	char *source; /* of VIEW_READ and VIEW_WRITE */
	unsigned flags;
	char *said_by; /* for people: which key asks for it; NULL: none */
};

struct view {
	struct view_item *items; /* after view_sort() each behind those that it lies in */
	size_t count;
};

/* Strings are copied; SOURCE NULL: DESTINATION; SAID_BY may be NULL. Of two for one place the
 * latter counts. */
void view_add(struct view *view, enum view_kind kind, unsigned flags, const char *destination,
	const char *source, const char *said_by);

/* Show PATH, not writable, if it would be hidden otherwise; after all that hides. A VIEW_TMP stays
 * what it is. */
void view_uncover(struct view *view, const char *path, unsigned flags, const char *said_by);

void view_sort(struct view *view);
void view_clear(struct view *view);

/* The item that decides what is at PATH, the deepest that PATH is or lies in; NULL: none does. */
const struct view_item *view_find(const struct view *view, const char *path);

/* The same of what the item INDEX of a sorted view is put upon. */
const struct view_item *view_below(const struct view *view, size_t index);

/* Whether PATH is in the tenant's own hands. */
bool view_is_own(const struct view *view, const char *path);

/* Whether PATH, as written, can be a place: absolute, and without "." and ".." parts. */
bool view_path_is_plain(const char *path);

#endif
