/*
 * Last good texts that are stored a few with each turn of the loop: those of very many files at
 * once, as at the first start of all, which nobody is to wait for. And their sync, by a process of
 * its own, which ends with the daemon.
 *
 * A daemon that is killed before it has stored them loses nothing but the memory of what they said:
 * they are read again from where they lie.
 */
#ifndef TEN_ACCEPTED_QUEUE_H
#define TEN_ACCEPTED_QUEUE_H

#include "daemon/daemon.h"

typedef void accepted_store(struct daemon *d, const char *name, const char *text, size_t len);

/* STORE is called with copies of NAME and TEXT in one of the next turns. */
void accepted_queue_add(
	struct daemon *d, const char *name, const char *text, size_t len, accepted_store *store);

/* Store what waits of NAME now. */
void accepted_queue_store(struct daemon *d, const char *name);

/* Sync what was stored, and what is queued when it is. */
void accepted_queue_sync(struct daemon *d);

/* Store what waits, and sync it, now. */
void accepted_queue_finish(struct daemon *d);

#endif
