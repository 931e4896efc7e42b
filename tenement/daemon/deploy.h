/*
 * Bringing a version of a service into use: it is declared, started, and gets its share of the
 * traffic when it is healthy, and not before. One that does not get there is undeclared again, if
 * it was declared for this, and all else is as before.
 *
 * It goes on when who asked for it has gone. With the daemon it ends: what it leaves is a declared
 * instance that gets no traffic.
 */
#ifndef TEN_DEPLOY_H
#define TEN_DEPLOY_H

#include "daemon/daemon.h"

/* Go on with those that can. */
void deploy_turn(struct daemon *d);

#endif
