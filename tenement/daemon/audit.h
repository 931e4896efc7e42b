/*
 * The audit log: what was asked of the API that changes something, and what was refused.
 *
 * Nothing is refused for want of room for a line: what could not be written down is counted, and
 * that is said in the log and, when there is room again, in the audit log itself. Of refusals, and
 * of what a token does that is for a tenant alone, so many a minute are written one by one and the
 * rest as one line with their number.
 */
#ifndef TEN_AUDIT_H
#define TEN_AUDIT_H

#include "daemon/daemon.h"
#include "daemon/principal.h"

#define AUDIT_REFUSED_PER_MINUTE 30u
#define AUDIT_SCOPED_PER_MINUTE  60u /* of one token */

void audit_start(struct daemon *d);
void audit_stop(struct daemon *d);

/* WHO, from ADDRESS, asked for PATH, and the answer was STATUS (0: gone before there was one). */
void audit_write(struct daemon *d, const struct principal *who, const char *address,
	const char *method, const char *path, int status);

/* Lines that could not be written since the start; whether the last one is among them, and why. */
uint64_t audit_lost(const struct daemon *d);
const char *audit_problem(const struct daemon *d); /* NULL: there is none */

#endif
