/*
 * The loopback interface of a network namespace that was just made.
 */
#ifndef TEN_LOOPBACK_H
#define TEN_LOOPBACK_H

#include "error.h"

/* Bring it up, in our own namespace. */
int loopback_up(struct ten_error *err);

#endif
