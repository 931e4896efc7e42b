/*
 * Where a tenant with a network of its own may connect to, as egress_allow spells it, and the
 * addresses that such tenants are given.
 */
#ifndef TEN_EGRESS_H
#define TEN_EGRESS_H

#include <stdint.h>

#include "config_address.h"
#include "error.h"
#include "text.h"

struct egress_rule {
	struct config_network network; /* of IPv4 */
	uint16_t first_port, last_port;
};

/* "10.0.0.0/8:5432", "192.0.2.7:8000-8010", or "192.0.2.0/24" for all ports. */
int egress_parse(const char *text, struct egress_rule *rule, struct ten_error *err);

/* Add what nftables calls RULE's packets: "ip daddr 10.0.0.0/8 th dport 5432". */
void egress_add_match(struct text *text, const struct egress_rule *rule);

/* private_range: "10.90.0.0/16" is cut into pairs of addresses (/31), for the machine's end of a
 * tenant's link and for the tenant's. */
#define PRIVATE_PAIRS_MAX 32768

struct private_range {
	uint32_t first; /* address, host order */
	uint32_t pairs; /* at most PRIVATE_PAIRS_MAX */
};

int private_range_parse(const char *text, struct private_range *range, struct ten_error *err);

#endif
