/*
 * Whether the files that tenants' secrets come from are still as they were when those were started.
 * Files of tenants that have a process, or failed, are watched (inotify on their folders, and on
 * those that links lead to) and looked at every half minute as well; of sleepers there is nothing
 * to know, for they read them when they wake. A file that is gone or refused leaves what runs
 * alone.
 */
#ifndef TEN_SECRET_WATCH_H
#define TEN_SECRET_WATCH_H

#include "daemon/instance.h"

/* Watch what INSTANCE was started with, or no longer: by its state. Costs nothing without secrets.
 */
void secret_watch_follow(struct daemon *d, struct instance *instance);
void secret_watch_leave(struct daemon *d, struct instance *instance);

/* Whether they changed since it was started, or failed. */
bool secret_watch_changed(const struct instance *instance);

/* It failed with what is there now. */
void secret_watch_failed(struct daemon *d, struct instance *instance);

/* What is wrong with those of INSTANCE, for people; NULL: nothing that is known. */
const char *secret_watch_problem(const struct instance *instance);

/* Each file that is watched and cannot be used, for people. */
void secret_watch_each_problem(void (*visit)(void *data, const char *problem), void *data);

/* Look at all of them now. */
void secret_watch_rescan(struct daemon *d);

#endif
