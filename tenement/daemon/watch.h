/*
 * inotify on conf.d and on the folders that it and the main file are in.
 */
#ifndef TEN_WATCH_H
#define TEN_WATCH_H

#include "daemon/daemon.h"

int watch_start(struct daemon *d, struct ten_error *err);
void watch_arm(struct daemon *d); /* (again) on what the paths lead to now */

#endif
