/*
 * sd_notify(3): tenants with ready = "notify" say READY=1 to {runtime_dir}/notify.
 */
#ifndef TEN_NOTIFY_H
#define TEN_NOTIFY_H

#include "daemon/daemon.h"

int notify_start(struct daemon *d, struct ten_error *err);

#endif
