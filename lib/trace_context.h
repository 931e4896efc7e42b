/*
 * W3C Trace Context: the field traceparent, "00-TRACE-SPAN-FLAGS" in lower-case hexadecimal digits,
 * and whether a trace is sampled (OpenTelemetry's parentbased_traceidratio: as its parent is; one
 * without a parent by its own id, so that all who use the same ratio say the same).
 */
#ifndef TEN_TRACE_CONTEXT_H
#define TEN_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_PARENT_LEN 55

struct trace_context {
	uint8_t trace[16], span[8];
	bool sampled;
};

/* False: it is none; then it is as if there were no parent. */
bool trace_context_parse(const char *text, size_t len, struct trace_context *context);

/* TRACE_PARENT_LEN characters and a NUL. */
void trace_context_format(const struct trace_context *context, char text[TRACE_PARENT_LEN + 1]);

/* Whether the trace is among HUNDREDTHS of a hundred. */
bool trace_is_sampled(const uint8_t trace[16], uint32_t hundredths);

#endif
