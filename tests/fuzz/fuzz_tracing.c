/* traceparent, and messages of spans. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"
#include "trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_context context, again;
	char text[TRACE_PARENT_LEN + 1];
	size_t at = 0, last = 0, sum = 0;
	struct span span;

	if (trace_context_parse((const char *)data, size, &context)) {
		trace_context_format(&context, text);
		if (!trace_context_parse(text, TRACE_PARENT_LEN, &again) ||
			memcmp(again.trace, context.trace, sizeof(again.trace)) != 0 ||
			again.sampled != context.sampled)
			abort();
	}
	while (span_next((const char *)data, size, &at, &span)) {
		if (at <= last || at > size)
			abort();
		last = at;
		for (size_t i = 0; i < span.path.len; i++)
			sum += (unsigned char)span.path.data[i];
		sum += span.refused.len ? (unsigned char)span.refused.data[span.refused.len - 1]
					: 0;
	}
	return sum == SIZE_MAX;
}
