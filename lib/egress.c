#include "egress.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "wire.h"

#define RANGE_PREFIX_MIN 8
#define RANGE_PREFIX_MAX 30

static int read_ports(const char *text, struct egress_rule *rule, struct ten_error *err)
{
	int64_t port;
	uint32_t from, to;

	if (!strchr(text, '-')) {
		if (!wire_number(text, 1, UINT16_MAX, &port))
			return ten_error_set(err, 0, "\"%.20s\" is no port: 1 to 65535", text);
		rule->first_port = rule->last_port = (uint16_t)port;
		return 0;
	}
	if (config_range_parse(text, 1, UINT16_MAX, &from, &to, err) < 0)
		return -1;
	rule->first_port = (uint16_t)from;
	rule->last_port = (uint16_t)to;
	return 0;
}

int egress_parse(const char *text, struct egress_rule *rule, struct ten_error *err)
{
	size_t len = strcspn(text, ":");
	autofree char *network = mem_strndup(text, len);

	*rule = (struct egress_rule){ .first_port = 1, .last_port = UINT16_MAX };
	if (*text == '[' || strchr(text + len + !!text[len], ':'))
		return ten_error_set(err, 0,
			"\"%.80s\": networks of tenants are IPv4: write \"NETWORK:PORT\", as in "
			"\"10.0.0.0/8:5432\"",
			text);
	if (strspn(network, "0123456789.") < strcspn(network, "/"))
		return ten_error_set(err, 0,
			"\"%.80s\" is no network in CIDR form, and names are not looked up: write "
			"\"NETWORK:PORT\", as in \"10.0.0.0/8:5432\"",
			text);
	if (config_network_parse(network, &rule->network, err) < 0)
		return -1;
	if (text[len] && read_ports(text + len + 1, rule, err) < 0)
		return ten_error_wrap(err, "\"%.80s\"", text);
	return 0;
}

void egress_add_match(struct text *text, const struct egress_rule *rule)
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, rule->network.bytes, address, sizeof(address));
	text_printf(text, "ip daddr %s/%d", address, rule->network.prefix);
	if (rule->first_port == 1 && rule->last_port == UINT16_MAX)
		return;
	if (rule->first_port == rule->last_port)
		text_printf(text, " meta l4proto { tcp, udp } th dport %u", rule->first_port);
	else
		text_printf(text, " meta l4proto { tcp, udp } th dport %u-%u", rule->first_port,
			rule->last_port);
}

int private_range_parse(const char *text, struct private_range *range, struct ten_error *err)
{
	struct config_network network;
	uint32_t address;

	if (config_network_parse(text, &network, err) < 0)
		return -1;
	if (network.family != CONFIG_IPV4 || network.prefix < RANGE_PREFIX_MIN ||
		network.prefix > RANGE_PREFIX_MAX)
		return ten_error_set(err, 0,
			"\"%.80s\" is no network for tenants: one of IPv4 with a prefix from %d to "
			"%d, as in \"10.90.0.0/16\"",
			text, RANGE_PREFIX_MIN, RANGE_PREFIX_MAX);
	memcpy(&address, network.bytes, sizeof(address));
	range->first = ntohl(address);
	range->pairs = 1u << (32 - network.prefix - 1);
	if (range->pairs > PRIVATE_PAIRS_MAX)
		range->pairs = PRIVATE_PAIRS_MAX;
	return 0;
}
