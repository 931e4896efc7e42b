/*
 * How a proxy worker hands lines of access logs to the log writer: one message of a SOCK_SEQPACKET
 * socket holds several, each with the tenant that it is of. The log writer believes nothing of it:
 * a name has the form of one and a line holds no control byte, so that neither leads anywhere else.
 */
#ifndef TEN_ACCESS_BATCH_H
#define TEN_ACCESS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access_line.h"
#include "names.h"
#include "route_table.h"

#define ACCESS_BATCH_MAX  65536               /* bytes of one message */
#define ACCESS_TENANT_MAX (2 * NAMES_MAX + 1) /* bytes of "service:id" */

struct access_entry {
	struct route_target target; /* the slot that the tenant had */
	const char *tenant;         /* "service:id", not terminated */
	size_t tenant_len;
	const char *line; /* without a newline */
	size_t line_len;
};

/* Append ENTRY to the *LEN bytes of BATCH, which has room for SIZE. False: it does not fit. */
bool access_batch_add(char *batch, size_t size, size_t *len, const struct access_entry *entry);

/* The next of the LEN bytes at BATCH; *AT begins at 0. False: that was the last, or what follows is
 * none (then *AT is not LEN). */
bool access_batch_next(const char *batch, size_t len, size_t *at, struct access_entry *entry);

/* Split "service:id" into two names. False: it is not made of two. */
bool access_tenant_split(
	const char *tenant, size_t len, char service[NAMES_MAX + 1], char id[NAMES_MAX + 1]);

#endif
