/*
 * sd_notify(3): tenants with ready = "notify" say READY=1 to {runtime_dir}/notify.d/socket: a
 * folder, which a tenant's view can show, so that the socket of the next daemon is in it as well.
 */
#ifndef TEN_NOTIFY_H
#define TEN_NOTIFY_H

#include "daemon/daemon.h"

/* The caller frees. */
char *notify_folder(const struct daemon *d);

int notify_start(struct daemon *d, struct ten_error *err);
void notify_end(struct daemon *d); /* nobody is left who could send */

#endif
