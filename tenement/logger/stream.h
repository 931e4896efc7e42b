/*
 * The pipes that tenants' stdout and stderr end in. One bounded read per pipe and turn of the loop,
 * so that a tenant that floods its own keeps nobody else's waiting.
 */
#ifndef TEN_LOGGER_STREAM_H
#define TEN_LOGGER_STREAM_H

#include <ev.h>

#include "error.h"
#include "log_line.h"
#include "logger/tenant_log.h"

struct streams; /* all of them */

struct streams *streams_new(struct ev_loop *loop, struct tenant_logs *logs);

/* Read what is in the pipes now, end them, free all. */
void streams_free(struct streams *streams);

/* Read FD (taken in any case) into the log of SERVICE:ID until it ends. A pipe that is read already
 * is left alone: a restart can bring one twice, inherited and as a message. */
int streams_add(struct streams *streams, int fd, const char *service, const char *id,
	enum log_line_stream kind, struct ten_error *err);

#endif
