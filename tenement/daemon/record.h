/*
 * What is written down of each process of a tenant, so that a daemon that comes back finds it:
 * {runtime_dir}/instances/service:id, on tmpfs.
 */
#ifndef TEN_RECORD_H
#define TEN_RECORD_H

#include "daemon/instance.h"

int record_write(struct daemon *d, const struct instance *instance, struct ten_error *err);

/* The same at the end of the turn, when the workers have been told: record_write_due(). */
void record_write_later(struct instance *instance);
void record_write_due(struct daemon *d);
/* What the disk says to it, for status; NULL: nothing. The caller frees. */
char *record_problem(void);
void record_forget(struct instance *instance); /* nothing is due any more */

void record_remove(struct daemon *d, const char *key);

/* In the text of a record, what is behind NAME on the line that begins with it; NULL: there is
 * none, as programs before wrote fewer. */
const char *record_line(const char *text, const char *name);

/* Take over all processes that have a record and still live; end those that cannot be. After the
 * configuration was loaded and before the first plan. */
void record_adopt_all(struct daemon *d);

#endif
