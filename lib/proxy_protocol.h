/*
 * The header of the PROXY protocol, versions 1 (a line of text) and 2 (binary), as HAProxy's
 * proxy-protocol.txt has it: what a proxy in front of us says of whom it speaks for, before the
 * first byte of the connection that it passes on.
 *
 * Strict: what is not exactly such a header is refused, for to guess here is to believe a stranger
 * about who he is.
 */
#ifndef TEN_PROXY_PROTOCOL_H
#define TEN_PROXY_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#define PROXY_PROTOCOL_TEXT_MAX 107 /* bytes of version 1, its CRLF included */
#define PROXY_PROTOCOL_MAX      (16 + 65535)

enum proxy_protocol_source {
	PROXY_PROTOCOL_PEER,    /* LOCAL, UNKNOWN: the client is whom the socket says */
	PROXY_PROTOCOL_ADDRESS, /* .address */
	PROXY_PROTOCOL_PATH,    /* came by a unix socket there: it has no address */
};

struct proxy_protocol {
	enum proxy_protocol_source source;
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	const char *refused; /* why; static */
};

/* Look at DATA, the connection's first LEN bytes. Returns how many bytes the header takes, which
 * may be more than LEN: those beyond (extensions, at most up to PROXY_PROTOCOL_MAX) are passed over
 * without being looked at. 0: call again when there is more. -1: refused. The outcome does not
 * depend on how the bytes come in pieces. */
int proxy_protocol_parse(struct proxy_protocol *header, const char *data, size_t len);

#endif
