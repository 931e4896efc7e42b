/*
 * Messages between keeper, daemon and log writer: one datagram each (SOCK_SEQPACKET), fields
 * separated by NUL, the verb first. At most WIRE_FIELDS fields and WIRE_BYTES bytes.
 */
#ifndef TEN_WIRE_H
#define TEN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_FIELDS 64
#define WIRE_BYTES  16384

struct wire {
	size_t count;
	const char *fields[WIRE_FIELDS]; /* into the buffer that was parsed */
};

/* Split BUFFER, whose LEN bytes must end with a NUL. False: not a message. */
bool wire_parse(const char *buffer, size_t len, struct wire *wire);

/* Whether the message is VERB with at least FIELDS fields after it. */
bool wire_is(const struct wire *wire, const char *verb, size_t fields);

/* A decimal number in MINIMUM..MAXIMUM, nothing else around it. */
bool wire_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number);

/* Append FIELD to the message under construction; false when it is full. */
struct wire_buffer {
	size_t len;
	char bytes[WIRE_BYTES];
};
bool wire_add(struct wire_buffer *buffer, const char *field);
bool wire_add_number(struct wire_buffer *buffer, int64_t number);

#endif
