/*
 * Who is held awake: by an operator (`ten hold`, an override), by itself over NOTIFY_SOCKET
 * (EXTEND_TIMEOUT_USEC=), or by touching the file $TENEMENT_HOLD, whose time of modification counts
 * as use; one in the future holds until then. A hold counts as use until its end.
 */
#ifndef TEN_HOLD_H
#define TEN_HOLD_H

#include "daemon/instance.h"

#define HOLD_SECONDS_MAX 31536000

/* Until when INSTANCE is held, or was used by its own account, as daemon_now() has it; 0: it is
 * not. *BY (may be NULL) says by what, for people: static. */
double hold_until(struct daemon *d, const struct instance *instance, const char **by);

int hold_set(struct daemon *d, struct instance *instance, int64_t seconds, const char *by,
	struct ten_error *err);
/* Whether there was one. Takes back what the tenant said of itself too. */
bool hold_release(struct daemon *d, struct instance *instance);

/* What came on NOTIFY_SOCKET. */
void hold_notified(struct instance *instance, const char *text);

/* When the hold OVERRIDE ends, as daemon_now() has it. To be asked once, for the clock on the wall
 * may be set at any time. */
struct override;
double hold_end(const struct override *override);

/* End the overrides whose time is over. */
void hold_prune(struct daemon *d);

/* The path that a tenant may touch; the caller frees. */
char *hold_path(struct daemon *d, const struct ten_spec *spec, const char *socket_path);

#endif
