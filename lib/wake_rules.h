/*
 * Which requests do not wake a tenant (the option no_wake). A word of the list is a rule:
 *
 *	/favicon.ico, /wp-*.php	the path, without its query and not decoded
 *	method:HEAD			the method
 *	agent:*bot*			the User-Agent, case not regarded
 *	from:192.0.2.0/24		the client's address; IPv6 as well
 *
 * A `*` is any run of characters, an empty one too. Whatever pattern and text are, matching takes
 * time linear in their lengths, so what a list may cost is bounded by WAKE_RULES_MAX.
 */
#ifndef TEN_WAKE_RULES_H
#define TEN_WAKE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "http_field.h"

#define WAKE_RULES_MAX 64
#define WAKE_RULE_MAX  256  /* bytes of a word */
#define WAKE_AGENT_MAX 1024 /* of a longer User-Agent no more is looked at */

enum wake_rule_kind {
	WAKE_RULE_PATH,
	WAKE_RULE_METHOD,
	WAKE_RULE_AGENT,
	WAKE_RULE_FROM_V4,
	WAKE_RULE_FROM_V6,
	WAKE_RULE_KINDS
};

/* As it lies in the routing table: no pointers. */
struct wake_rule {
	uint8_t kind;
	uint8_t prefix; /* of 128 bits of .address */
	uint16_t len;   /* of its pattern */
	uint32_t at;    /* where that begins in the list's text */
	uint8_t address[16];
};

struct wake_rules {
	const struct wake_rule *rules;
	uint32_t count;
	const char *text; /* all patterns; not NUL-terminated */
	uint32_t text_len;
};

/* Read WORD; its pattern, a part of it, is put into *PATTERN, and RULE->at is left 0. */
int wake_rule_parse(
	const char *word, struct wake_rule *rule, const char **pattern, struct ten_error *err);

struct wake_request {
	struct http_text path;
	struct http_text method;
	struct http_text agent;
	bool has_address;
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
};

/* Whether any of RULES matches. No place or length in them is trusted. */
bool wake_rules_match(const struct wake_rules *rules, const struct wake_request *request);

/* What a request's head as it goes to the tenant says: DATA begins with its first line. REAL is the
 * value of its X-Real-IP, .data NULL where there is none. */
bool wake_request_read(
	const char *data, size_t len, struct wake_request *request, struct http_text *real);

/* TEXT is an address, perhaps with a port behind it or in brackets. */
bool wake_address_read(struct http_text text, uint8_t address[16]);

enum wake_case { WAKE_CASE_COUNTS, WAKE_CASE_FOLDED };
bool wake_pattern_matches(struct http_text pattern, struct http_text text, enum wake_case how);

#endif
