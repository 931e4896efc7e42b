#include "config_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"

static const char address_hint[] = "write it as \"127.0.0.1:8080\", \"[::]:80\" or \"unix:/path\"";

/* The decimal number TEXT, up to MAX, into *number; digits only. */
static int read_number(const char *text, size_t len, uint64_t max, uint64_t *number)
{
	*number = 0;
	if (!len || len > 10)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		*number = *number * 10 + (uint64_t)(text[i] - '0');
	}
	return *number <= max ? 0 : -1;
}

static int parse_unix(const char *path, struct config_address *address, struct ten_error *err)
{
	size_t len = strlen(path);

	address->family = CONFIG_UNIX;
	if (*path != '/')
		return ten_error_set(
			err, 0, "the path of a unix socket is absolute: \"unix:/run/x.sock\"");
	if (len > CONFIG_SOCKET_PATH_MAX)
		return ten_error_set(err, 0,
			"the path of a unix socket is at most %d bytes long, this one %zu",
			CONFIG_SOCKET_PATH_MAX, len);
	if (path[len - 1] == '/')
		return ten_error_set(err, 0, "the path of a unix socket does not end with \"/\"");
	memcpy(address->path, path, len + 1);
	return 0;
}

/* IPv6 sockets of ours take IPv6 alone, and none can be bound to such an address. */
static int check_ipv6(const char *text, const struct config_address *address, struct ten_error *err)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *v4 = address->bytes + 12;

	if (memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		return 0;
	return ten_error_set(err, 0, "\"%.80s\" is an IPv4 address: write it as \"%u.%u.%u.%u:%u\"",
		text, v4[0], v4[1], v4[2], v4[3], address->port);
}

int config_address_parse(const char *text, struct config_address *address, struct ten_error *err)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t len;
	uint64_t port;

	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, address, err);
	if (!colon)
		return ten_error_set(err, 0, "\"%.80s\" has no port: %s", text, address_hint);
	if (colon == text)
		return ten_error_set(err, 0,
			"\"%.80s\" has no address: write \"127.0.0.1%.20s\" for this machine "
			"alone, or "
			"\"0.0.0.0%.20s\" or \"[::]%.20s\" for everyone",
			text, text, text, text);
	if (read_number(colon + 1, strlen(colon + 1), 65535, &port) < 0)
		return ten_error_set(
			err, 0, "\"%.80s\": the port is a number from 0 to 65535", text);
	address->port = (uint16_t)port;
	len = (size_t)(colon - text);
	if (len >= sizeof(host))
		return ten_error_set(err, 0, "\"%.80s\" is no address: %s", text, address_hint);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		address->family = CONFIG_IPV6;
		if (inet_pton(AF_INET6, host + 1, address->bytes) == 1)
			return check_ipv6(text, address, err);
	} else {
		address->family = CONFIG_IPV4;
		if (inet_pton(AF_INET, host, address->bytes) == 1)
			return 0;
		if (inet_pton(AF_INET6, host, address->bytes) == 1)
			return ten_error_set(err, 0,
				"\"%.80s\": an IPv6 address stands in brackets: \"[%s]:%u\"", text,
				host, address->port);
	}
	return ten_error_set(err, 0, "\"%.80s\" is no address in numbers: %s", text, address_hint);
}

char *config_address_with_port(const char *text, uint16_t port)
{
	const char *colon = strrchr(text, ':');

	if (strncmp(text, "unix:", 5) == 0 || !colon)
		return mem_printf("127.0.0.1:%u", port);
	return mem_printf("%.*s:%u", (int)(colon - text), text, port);
}

static bool same_bits(const uint8_t *a, const uint8_t *b, int bits)
{
	int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, (size_t)whole) != 0)
		return false;
	return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* Whether all bits behind the prefix are 0. */
static bool is_network(const struct config_network *network, int bits)
{
	uint8_t zero[16] = { 0 }, masked[16];

	memcpy(masked, network->bytes, sizeof(masked));
	for (int bit = 0; bit < network->prefix; bit++)
		masked[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return memcmp(masked, zero, (size_t)bits / 8) == 0;
}

int config_network_parse(const char *text, struct config_network *network, struct ten_error *err)
{
	char host[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	int bits = strchr(text, ':') ? 128 : 32;
	uint64_t prefix = (uint64_t)bits;

	memset(network, 0, sizeof(*network));
	network->family = bits == 128 ? CONFIG_IPV6 : CONFIG_IPV4;
	if (len >= sizeof(host))
		return ten_error_set(err, 0, "\"%.80s\" is no network in CIDR form", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(bits == 128 ? AF_INET6 : AF_INET, host, network->bytes) != 1)
		return ten_error_set(err, 0,
			"\"%.80s\" is no network in CIDR form: write it as \"10.0.0.0/8\" or "
			"\"fd00::/8\"",
			text);
	if (text[len] &&
		read_number(text + len + 1, strlen(text + len + 1), (uint64_t)bits, &prefix) < 0)
		return ten_error_set(
			err, 0, "\"%.80s\": the prefix is a number from 0 to %d", text, bits);
	network->prefix = (int)prefix;
	if (!is_network(network, bits))
		return ten_error_set(err, 0, "\"%.80s\" has bits set behind its prefix of %d", text,
			network->prefix);
	return 0;
}

bool config_network_holds(
	const struct config_network *network, enum config_family family, const uint8_t *bytes)
{
	return network->family == family && same_bits(network->bytes, bytes, network->prefix);
}

int config_range_parse(const char *text, uint32_t min, uint32_t max, uint32_t *from, uint32_t *to,
	struct ten_error *err)
{
	size_t len = strcspn(text, "-");
	uint64_t low, high;

	if (!text[len] || read_number(text, len, max, &low) < 0 ||
		read_number(text + len + 1, strlen(text + len + 1), max, &high) < 0 || low < min ||
		low > high)
		return ten_error_set(err, 0,
			"\"%.80s\" is no range: write it as \"FROM-TO\", two numbers from %u to %u",
			text, min, max);
	*from = (uint32_t)low;
	*to = (uint32_t)high;
	return 0;
}
