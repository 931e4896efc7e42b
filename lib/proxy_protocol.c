#include "proxy_protocol.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

static int refuse(struct proxy_protocol *header, const char *why)
{
	header->refused = why;
	return -1;
}

static void set_ipv4(struct proxy_protocol *header, const void *address)
{
	header->source = PROXY_PROTOCOL_ADDRESS;
	header->address[10] = header->address[11] = 0xff;
	memcpy(header->address + 12, address, 4);
}

static void set_ipv6(struct proxy_protocol *header, const void *address)
{
	header->source = PROXY_PROTOCOL_ADDRESS;
	memcpy(header->address, address, 16);
}

/* ---- version 1 ---- */

static const char text_begin[] = "PROXY ";

struct words {
	const char *at;
	const char *end;
};

/* The next word: it ends before a single space, or is the line's last one. */
static struct words word_next(struct words *line)
{
	const char *space = memchr(line->at, ' ', (size_t)(line->end - line->at));
	struct words word = { line->at, space ? space : line->end };

	line->at = space ? space + 1 : NULL;
	return word;
}

static bool word_is(const struct words *word, const char *text)
{
	size_t len = (size_t)(word->end - word->at);

	return len == strlen(text) && memcmp(word->at, text, len) == 0;
}

/* The line's next word as an address of FAMILY, and not its last. */
static bool address_take(struct words *line, int family, uint8_t address[16])
{
	struct words word = word_next(line);
	size_t len = (size_t)(word.end - word.at);
	char text[INET6_ADDRSTRLEN];

	if (!line->at || len >= sizeof(text))
		return false;
	memcpy(text, word.at, len);
	text[len] = '\0';
	return inet_pton(family, text, address) == 1;
}

static bool port_take(struct words *line)
{
	struct words word = word_next(line);
	size_t len = (size_t)(word.end - word.at);
	unsigned port = 0;

	if (!len || len > 5 || (*word.at == '0' && len > 1))
		return false;
	for (const char *at = word.at; at < word.end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		port = port * 10 + (unsigned)(*at - '0');
	}
	return port <= 65535;
}

/* What stands between "PROXY " and the end of the line. */
static int read_line(struct proxy_protocol *header, struct words line)
{
	struct words protocol = word_next(&line);
	bool ipv4 = word_is(&protocol, "TCP4");
	uint8_t source[16], destination[16];

	if (word_is(&protocol, "UNKNOWN"))
		return 0; /* whatever follows is to be ignored */
	if (!ipv4 && !word_is(&protocol, "TCP6"))
		return refuse(header, "neither TCP4, TCP6 nor UNKNOWN");
	if (!line.at || !address_take(&line, ipv4 ? AF_INET : AF_INET6, source) ||
		!address_take(&line, ipv4 ? AF_INET : AF_INET6, destination))
		return refuse(header, "a malformed address");
	if (!port_take(&line) || !line.at || !port_take(&line) || line.at)
		return refuse(header, "malformed ports");
	if (ipv4)
		set_ipv4(header, source);
	else
		set_ipv6(header, source);
	return 0;
}

static int parse_text(struct proxy_protocol *header, const char *data, size_t len)
{
	const size_t begin = sizeof(text_begin) - 1;
	size_t room = len < PROXY_PROTOCOL_TEXT_MAX ? len : PROXY_PROTOCOL_TEXT_MAX;
	size_t end = 0;

	if (memcmp(data, text_begin, len < begin ? len : begin) != 0)
		return refuse(header, "there is none");
	while (end < room && (unsigned char)data[end] >= ' ' && data[end] != 0x7f)
		end++;
	if (end < room && data[end] != '\r')
		return refuse(header, "a control character");
	if (end + 1 < room && data[end + 1] != '\n')
		return refuse(header, "a line that does not end by CRLF");
	if (end + 1 >= PROXY_PROTOCOL_TEXT_MAX)
		return refuse(header, "a line that is too long");
	if (end + 1 >= room)
		return 0;
	if (end < begin || read_line(header, (struct words){ data + begin, data + end }) < 0)
		return refuse(header, header->refused ? header->refused : "there is none");
	return (int)end + 2;
}

/* ---- version 2 ---- */

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { BINARY_BEGIN = 16, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };

/* Bytes of the addresses of FAMILY, which holds the transport too; -1: there is no such. */
static int addresses_size(uint8_t family)
{
	switch (family) {
	case 0x00: /* unspecified */
		return 0;
	case 0x11: /* IPv4, of a stream or of datagrams that somebody made a stream of */
	case 0x12:
		return 4 + 4 + 2 + 2;
	case 0x21: /* IPv6 */
	case 0x22:
		return 16 + 16 + 2 + 2;
	case 0x31: /* unix */
	case 0x32:
		return 108 + 108;
	default:
		return -1;
	}
}

static int parse_binary(struct proxy_protocol *header, const char *text, size_t len)
{
	const uint8_t *data = (const uint8_t *)text;
	size_t known = len < sizeof(signature) ? len : sizeof(signature);
	int size, addresses;

	if (memcmp(data, signature, known) != 0)
		return refuse(header, "there is none");
	if (len > 12 && data[12] >> 4 != 2)
		return refuse(header, "another version than 1 and 2");
	if (len > 12 && (data[12] & 15) > COMMAND_PROXY)
		return refuse(header, "an unknown command");
	if (len < BINARY_BEGIN)
		return 0;
	size = data[14] << 8 | data[15];
	/* The proxy itself speaks, for a health check, and what it says of addresses is void. */
	if ((data[12] & 15) == COMMAND_LOCAL)
		return BINARY_BEGIN + size;
	addresses = addresses_size(data[13]);
	if (addresses < 0)
		return refuse(header, "an unknown family of addresses");
	if (size < addresses)
		return refuse(header, "less than its addresses take");
	if (len < (size_t)BINARY_BEGIN + (size_t)addresses)
		return 0;
	if (data[13] >> 4 == 1)
		set_ipv4(header, data + BINARY_BEGIN);
	else if (data[13] >> 4 == 2)
		set_ipv6(header, data + BINARY_BEGIN);
	else if (data[13] >> 4 == 3)
		header->source = PROXY_PROTOCOL_PATH;
	return BINARY_BEGIN + size;
}

int proxy_protocol_parse(struct proxy_protocol *header, const char *data, size_t len)
{
	*header = (struct proxy_protocol){ .source = PROXY_PROTOCOL_PEER };
	if (!len)
		return 0;
	return *data == 'P' ? parse_text(header, data, len) : parse_binary(header, data, len);
}
