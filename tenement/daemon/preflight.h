/*
 * Before a program of ours is replaced by what now lies on disk: run that once, in a process that
 * can touch nothing, and hear whether it starts and what it says.
 */
#ifndef TEN_PREFLIGHT_H
#define TEN_PREFLIGHT_H

#include "daemon/daemon.h"

/* Run PROGRAM with the one ARGUMENT; it has the routing table and the board as it would later. DONE
 * is called once, from the loop: with its version, or with NULL and why it is not to be had. One at
 * a time. */
void preflight_start(struct daemon *d, const char *program, const char *argument,
	void (*done)(struct daemon *d, const char *version, const char *why));
void preflight_stop(struct daemon *d);

#endif
