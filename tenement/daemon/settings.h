/*
 * Settings that this life of the daemon runs with, and those that wait for the next.
 *
 * The main file as it was at the keeper's first start is kept by the keeper, so that a daemon that
 * comes back runs with the same data_dir and addresses whatever became of the file meanwhile.
 */
#ifndef TEN_SETTINGS_H
#define TEN_SETTINGS_H

#include "daemon/daemon.h"

/* Fill in boot, data_dir, runtime_dir, conf_dir, domain and pin them in d->place. Makes no folder.
 */
int settings_boot(struct daemon *d, struct ten_error *err);

/* After own_fd is there: a domain or uid_range that was not confirmed is not used. */
int settings_check_confirmed(struct daemon *d, struct ten_error *err);

void settings_changed(struct daemon *d); /* the main file's settings in force are others */
void settings_confirm(struct daemon *d);

/* Owned by this module, NULL-terminated, may be NULL: "workers: 2 -> 4". */
void settings_status(struct daemon *d, char ***confirm, char ***restart_needed);

#endif
