/*
 * A line of a tenant's output as one datagram for the machine's own log: what journald takes at
 * its native socket, and what syslog daemons take at /dev/log (RFC 3164 without a host name, as
 * syslog(3) sends it).
 */
#ifndef TEN_LOG_FORWARD_H
#define TEN_LOG_FORWARD_H

#include <stdbool.h>

#include "log_line.h"
#include "text.h"

struct log_forward {
	const char *service;
	const char *id;
	bool is_json; /* a line that is a JSON object says its priority itself, as "level" */
};

/* Add the datagram for LINE to OUT. A message holds no control bytes but tabs: see log_line.h. */
void log_forward_journald(
	struct text *out, const struct log_forward *tenant, const struct log_line *line);

/* The name that it goes by is "service/id": a colon would end it. The time is local. */
void log_forward_syslog(
	struct text *out, const struct log_forward *tenant, const struct log_line *line);

#endif
