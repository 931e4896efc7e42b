/*
 * Answers about a batch of files: what came of it, or would.
 */
#ifndef TEN_CONTROL_BATCH_H
#define TEN_CONTROL_BATCH_H

#include "daemon/apply.h"
#include "daemon/control.h"

/* APPLY was carried out: answer when what it asks for is so, is held, or SECONDS are over. Takes
 * its instances. */
void control_batch_wait(struct control_call *call, struct apply *apply, double seconds);

/* It was not: OUTCOME is "dry-run", "rejected" or "conflict". */
void control_batch_answer(
	struct control_call *call, const struct apply *apply, const char *outcome);

#endif
