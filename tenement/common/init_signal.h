/*
 * What the daemon and tenement-init say to each other.
 */
#ifndef TEN_INIT_SIGNAL_H
#define TEN_INIT_SIGNAL_H

#include <signal.h>

/* By sigqueue(3), with the number of a signal that is then sent to the whole process group. */
#define INIT_SIGNAL_TO_GROUP SIGRTMAX

/* The exit status of tenement-init is that of the app, or this and the signal that ended it. */
#define INIT_EXIT_SIGNALED 128

#endif
