/*
 * What of the things that a tenant may ask for this machine, kernel and user cannot give. Found out
 * once, when the daemon starts, by trying.
 */
#ifndef TEN_ABILITIES_H
#define TEN_ABILITIES_H

#include "daemon/daemon.h"

/* Fill in d->machine and put it in d->place. After cgroup_start(). */
void abilities_find(struct daemon *d);

#endif
