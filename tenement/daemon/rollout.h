/*
 * A changed template is taken by one running tenant first, then by `restart_batch` at a time, each
 * batch when the one before is well. At the first that is not, it halts: that one goes back to the
 * template before, and so does whoever has to be started anew; the rest are not touched.
 *
 * What is before is kept as the text of the service's file (.tenement/rollouts/SERVICE), so that it
 * outlives the daemon. A roll-out is over when one tenant was well on the new template and nobody
 * runs by an earlier one.
 */
#ifndef TEN_ROLLOUT_H
#define TEN_ROLLOUT_H

#include "config_template.h"
#include "daemon/instance.h"

struct rollout {
	char *service;
	struct config_template *before; /* NULL: the template did not change */
	bool proven;                    /* somebody was well on the new one */
	char *halted_at, *halted_why;   /* NULL: it goes on */
	unsigned under_way;             /* tenants that are being tried on the new one */
	unsigned restarting;            /* likewise that are restarted by a change of their own */
	bool frozen_too;                /* those that are frozen are stopped: their turn has come */
	bool look;                      /* there is news */
	UT_hash_handle hh;
};

/* That of the service that KEY is or begins with; NULL: none. */
struct rollout *rollout_find(const struct daemon *d, const char *key);

/* ---- the whole ---- */

/* Those that an earlier life had begun; before the files are judged. */
int rollout_load(struct daemon *d, struct ten_error *err);

/* A service's file was changed; BEFORE is what it was (taken). */
void rollout_begin(struct daemon *d, struct config_template *before);

/* The operator says so: halted ones go on with those that have not been tried. */
void rollout_go_on(struct daemon *d);

/* Choose who is next, where there is news. */
void rollout_turn(struct daemon *d);

/* For people: why the one of SERVICE was halted, how many are left and what to type. The caller
 * frees. NULL: it is not halted. */
char *rollout_describe(struct daemon *d, const char *service);
/* Whether the roll-out of INSTANCE's service halted before its turn came. */
bool rollout_holds(struct daemon *d, const struct instance *instance);

/* ---- one tenant ---- */

/* What INSTANCE is to be started from, and goes on running by. NULL: it is not declared. */
const struct ten_spec *rollout_spec(struct daemon *d, struct instance *instance);

/* Whether it runs by something else than its files ask for now. */
bool rollout_differs(const struct instance *instance);

/* Whether it may be restarted now for what changed. */
bool rollout_may(struct daemon *d, struct instance *instance);

void rollout_look(struct daemon *d, const struct instance *instance); /* its state changed */
void rollout_restarts(struct daemon *d, struct instance *instance);   /* for what changed */
void rollout_starting(struct daemon *d, struct instance *instance);   /* before it starts */
void rollout_ready(struct daemon *d, struct instance *instance);      /* it is */
void rollout_left(struct daemon *d, struct instance *instance);       /* it rests, or goes */
void rollout_passed(struct daemon *d, struct instance *instance);     /* it was well for long */
void rollout_adopted(struct daemon *d, struct instance *instance);    /* with its process */
/* It is not well. Whether it is to be started again from the template before. */
bool rollout_failed(struct daemon *d, struct instance *instance, const char *why);

#endif
