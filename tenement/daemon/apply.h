/*
 * Writing into conf.d: files are staged, judged against what is there, and moved in as one
 * journaled batch, so that a crash leaves all of it or none.
 */
#ifndef TEN_APPLY_H
#define TEN_APPLY_H

#include <jansson.h>

#include "daemon/daemon.h"

struct apply_file {
	char *name; /* in conf.d */
	char *text; /* NULL: remove it */
	bool same;  /* it is there already: nothing is written, and nobody's ownership changes */
};

struct apply {
	/* what is asked */
	struct apply_file *files;
	size_t count;
	bool force;   /* take over files that ten did not write */
	bool confirm; /* removals are meant */
	char *author;
	/* what came of it */
	char **problems, **conflicts;
	json_t *changes;  /* [{"name","change"}] */
	json_t *actions;  /* what the reconciler will do, [{"action","instance","why"}] */
	char **instances; /* keys whose spec it changes */
};

void apply_add(struct apply *apply, const char *name, const char *text);
void apply_clear(struct apply *apply);

/* Judge without writing: fills problems, conflicts, changes, actions, instances. True when it may
 * be carried out. */
bool apply_judge(struct daemon *d, struct apply *apply);

/* Write it. What became of it in the set is seen after the next load. */
int apply_carry_out(struct daemon *d, struct apply *apply, struct ten_error *err);

/* At start: end what an earlier life had begun to move in. */
int apply_finish_journal(struct daemon *d, struct ten_error *err);

/* What the reconciler would do to come from what is so to what is in force: for `ten diff`. */
json_t *apply_pending_actions(struct daemon *d);

#endif
