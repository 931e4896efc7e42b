/*
 * Handing tenants' lines to the machine's own log: journald at its native socket, a syslog daemon
 * at /dev/log. Nothing here waits: what is not taken at once is dropped, counted, and told of in
 * our own log once a minute.
 */
#ifndef TEN_LOGGER_FORWARD_H
#define TEN_LOGGER_FORWARD_H

#include <stdint.h>

#include "log_forward.h"

enum forward_kind { FORWARD_JOURNALD, FORWARD_SYSLOG };
#define FORWARD_KINDS 2

struct forward;

struct forward *forward_new(void);
void forward_free(struct forward *forward);

/* Where the socket of KIND is. It need not be there yet. */
void forward_set_path(struct forward *forward, enum forward_kind kind, const char *path);

void forward_line(struct forward *forward, enum forward_kind kind, const struct log_forward *tenant,
	const struct log_line *line);

#endif
