/*
 * Addresses, networks and ranges as the configuration spells them.
 */
#ifndef TEN_CONFIG_ADDRESS_H
#define TEN_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define CONFIG_SOCKET_PATH_MAX 107 /* bytes of a unix socket's path, without its NUL */
#define CONFIG_LISTENERS_MAX   64  /* addresses that are listened on */

enum config_family { CONFIG_IPV4, CONFIG_IPV6, CONFIG_UNIX };

struct config_address {
	enum config_family family;
	uint8_t bytes[16]; /* of the address, in network order; 4 of them for IPv4 */
	uint16_t port;
	char path[CONFIG_SOCKET_PATH_MAX + 1]; /* CONFIG_UNIX */
};

/* "127.0.0.1:8080", "[::]:80" or "unix:/path". */
int config_address_parse(const char *text, struct config_address *address, struct ten_error *err);

/* TEXT, an address that parses, with another port; the caller frees. A unix socket has none and
 * becomes "127.0.0.1:PORT". */
char *config_address_with_port(const char *text, uint16_t port);

struct config_network {
	enum config_family family;
	uint8_t bytes[16];
	int prefix; /* bits */
};

/* "10.0.0.0/8", "fd00::/8"; without a prefix, one address. */
int config_network_parse(const char *text, struct config_network *network, struct ten_error *err);

/* Whether the address BYTES of FAMILY is in NETWORK. */
bool config_network_holds(
	const struct config_network *network, enum config_family family, const uint8_t *bytes);

/* "20000-29999", both ends within MIN and MAX. */
int config_range_parse(const char *text, uint32_t min, uint32_t max, uint32_t *from, uint32_t *to,
	struct ten_error *err);

#endif
