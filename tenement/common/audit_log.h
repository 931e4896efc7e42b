/*
 * Who asked for what, when, from where, and what came of it: lines of JSON in files that are only
 * ever added to, .tenement/audit/SERIES-NUMBER.jsonl (the folder 0700, the files 0600). Of each
 * series so many of so many bytes are kept at the most; the oldest goes. Each line is one write(),
 * so that `ten` may write beside the daemon, and what was cut off by a full disk costs that line
 * alone.
 *
 *	{"timestamp":1795199273123,"by":"token 3fa9c2d1","address":"192.0.2.1","method":"POST",
 *	 "path":"/api/instances/notes:alice/restart","status":200}
 *
 * What was refused has a series of its own, so that no flood of it pushes out what was done.
 */
#ifndef TEN_AUDIT_LOG_H
#define TEN_AUDIT_LOG_H

#include <jansson.h>
#include <stdint.h>

#include "error.h"

#define AUDIT_LOG_LIMIT_MAX 10000 /* lines that are read at once */

enum audit_series { AUDIT_DONE, AUDIT_REFUSED, AUDIT_SERIES };

struct audit_entry {
	int64_t time_ms;
	const char *by, *address, *method, *path; /* any bytes; cut where they are long */
	int status;                               /* of HTTP; 0: who asked went away before */
	uint64_t count; /* above 1: it stands for so many, by whoever, of whatever path */
};

struct audit_log;

/* In the folder OWN_FD (.tenement), which has to stay open. Nothing is made before it is needed. */
struct audit_log *audit_log_new(int own_fd);
void audit_log_free(struct audit_log *log);

/* Add a line. -1: it is not kept, and *err says why; with the next one that is kept another one
 * says how many were not. */
int audit_log_add(struct audit_log *log, enum audit_series series, const struct audit_entry *entry,
	struct ten_error *err);
uint64_t audit_log_lost(const struct audit_log *log); /* since audit_log_new() */

/* The newest LIMIT lines at or after SINCE_MS, of all series, in the order of their time: an array
 * of objects. */
json_t *audit_log_read(
	struct audit_log *log, int64_t since_ms, size_t limit, struct ten_error *err);

#endif
