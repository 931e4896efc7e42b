/*
 * The whole product off one page: load, plan, apply, publish. Everything else marks.
 */
#ifndef TEN_RECONCILE_H
#define TEN_RECONCILE_H

#include "daemon/instance.h"

/* Begin: what earlier lives left is taken over. */
int reconcile_start(struct daemon *d, struct ten_error *err);

/* ---- marks ---- */
void reconcile_mark_instance(struct daemon *d, const char *key);
void reconcile_mark_service(struct daemon *d, const char *service); /* all its instances */
void reconcile_mark_route(struct daemon *d, const char *service);
void reconcile_mark_settings(struct daemon *d);
void reconcile_mark_change(struct daemon *d, const struct config_change *change);

/* Stop acting, and go on. WHY may be NULL. Kept on disk: a restart of the daemon does not end it.
 */
int reconcile_pause(struct daemon *d, const char *why, struct ten_error *err);
void reconcile_unpause(struct daemon *d);
void reconcile_load_pause(struct daemon *d);

/* Stop all tenants, then end the loop. */
void reconcile_shut_down(struct daemon *d);

/* What the next turn would do about INSTANCE with SPEC in place of its own (NULL: undeclared). */
struct plan_step reconcile_preview(struct daemon *d, const char *key, const struct ten_spec *spec);

/* Whether all that is declared is as declared (asleep counts), or failed for good. */
bool reconcile_converged(struct daemon *d);

/* The effective state of a tenant, its override regarded. */
enum tenant_state reconcile_effective_state(struct daemon *d, const struct ten_spec *spec);

#endif
