/*
 * What the keeper hands to the log writer: pipes that were open when it was started (descriptors
 * called "log:SERVICE:ID:STREAM:PID" in TENEMENT_FDS), and messages on the SOCK_SEQPACKET socket
 * "logger.in":
 *
 *	"log\0SERVICE:ID\0STREAM\0" with one descriptor, the reading end of a pipe
 *	"bounds\0SERVICE:ID\0RATE\0MB\0DAYS\0" what the tenant may write from now on: lines a
 *second, MiB of lines, days; 0: any number
 *	"limit\0N\0"		     the bound of each tenant's log files is N KiB from now on
 *	"access-limit\0N\0"	     that of its access log is N MiB; 0: none
 *
 * A message that is neither is said once and dropped; nothing ends the program.
 */
#ifndef TEN_LOGGER_INTAKE_H
#define TEN_LOGGER_INTAKE_H

#include <ev.h>

#include "logger/log_store.h"
#include "logger/sink_store.h"
#include "logger/stream.h"

struct intake {
	struct streams *streams;
	struct log_store *files;
	struct sink_store *store;
	struct log_store *access_store;
	ev_io watcher;
};

/* Take over what was inherited. */
void intake_inherit(struct intake *intake);

/* Listen on FD. When its other end is closed, the loop is left (ev_break). */
void intake_start(struct intake *intake, struct ev_loop *loop, int fd);

/* Take what is in line at FD without waiting. */
void intake_drain(struct intake *intake);

#endif
