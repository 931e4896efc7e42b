/*
 * Roll-outs on disk: .tenement/rollouts/SERVICE, from when a template was changed until all that
 * run are on the new one.
 */
#ifndef TEN_ROLLOUT_STORE_H
#define TEN_ROLLOUT_STORE_H

#include "daemon/rollout.h"

/* What a full disk refuses is owed: it is lost when the daemon ends before there is room. */
void rollout_store_write(struct daemon *d, const struct rollout *rollout);
void rollout_store_remove(struct daemon *d, const char *service);

/* TAKE each that is there (owned); damaged ones are warned of and removed. */
int rollout_store_load(struct daemon *d, void (*take)(struct daemon *d, struct rollout *rollout),
	struct ten_error *err);

void rollout_free(struct rollout *rollout);

#endif
