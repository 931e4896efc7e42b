/*
 * A span as OTLP has it in JSON (the protobuf's JSON encoding: ids in hexadecimal digits, 64-bit
 * numbers as strings), by OpenTelemetry's conventions for HTTP servers.
 */
#ifndef TEN_OTLP_H
#define TEN_OTLP_H

#include "span.h"
#include "text.h"

/* SPAN, and a child for each time that it waited: objects with commas between them. The caller
 * frees. */
char *otlp_spans(const struct span *span);

/* What has to be before such, and behind them, to be a request's body. */
void otlp_begin(struct text *body);
void otlp_end(struct text *body);

#endif
