/*
 * Spans on their way to the collector: a bounded queue, one request at a time, tried again with
 * growing pauses. However slow or dead the collector is, nobody waits for it: what finds the queue
 * full, or has been tried often, is dropped and counted.
 */
#ifndef TEN_EXPORTER_H
#define TEN_EXPORTER_H

#include "board.h"
#include "error.h"
#include "span.h"

struct exporter;

/* To ENDPOINT/v1/traces. TRACES is told what becomes of them. */
struct exporter *exporter_new(
	const char *endpoint, struct board_traces *traces, struct ten_error *err);
void exporter_free(struct exporter *exporter);

void exporter_add(struct exporter *exporter, const struct span *span);

/* Wait until there is something to do, at most for a second, or until FD is readable; and do it. */
void exporter_turn(struct exporter *exporter, int fd);

/* A last try, within SECONDS. What is left then is counted as dropped. */
void exporter_finish(struct exporter *exporter, double seconds);

#endif
