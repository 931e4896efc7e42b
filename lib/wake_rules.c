#include "wake_rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "config_address.h"

/* ---- patterns ---- */

static unsigned char fold(char c, enum wake_case how)
{
	return (unsigned char)(how == WAKE_CASE_FOLDED && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same(const char *a, const char *b, size_t len, enum wake_case how)
{
	size_t i = 0;

	while (i < len && fold(a[i], how) == fold(b[i], how))
		i++;
	return i == len;
}

/* Behind the first place of PART in TEXT from AT on; 0: it is nowhere. Knuth, Morris and Pratt. */
static size_t find(struct http_text part, struct http_text text, size_t at, enum wake_case how)
{
	uint16_t back[WAKE_RULE_MAX];
	size_t matched = 0;

	back[0] = 0;
	for (size_t i = 1; i < part.len; i++) {
		while (matched && fold(part.data[i], how) != fold(part.data[matched], how))
			matched = back[matched - 1];
		matched += fold(part.data[i], how) == fold(part.data[matched], how);
		back[i] = (uint16_t)matched;
	}
	matched = 0;
	for (; at < text.len; at++) {
		while (matched && fold(text.data[at], how) != fold(part.data[matched], how))
			matched = back[matched - 1];
		matched += fold(text.data[at], how) == fold(part.data[matched], how);
		if (matched == part.len)
			return at + 1;
	}
	return 0;
}

/* What stands before the first `*` and behind the last has its place; of what is between, each part
 * is taken where it comes first, which leaves the most to those after it. */
bool wake_pattern_matches(struct http_text pattern, struct http_text text, enum wake_case how)
{
	const char *first = pattern.len ? memchr(pattern.data, '*', pattern.len) : NULL;
	const char *last = pattern.len ? memrchr(pattern.data, '*', pattern.len) : NULL;
	size_t before, behind, at;

	if (pattern.len > WAKE_RULE_MAX)
		return false;
	if (!first)
		return pattern.len == text.len && same(pattern.data, text.data, text.len, how);
	before = (size_t)(first - pattern.data);
	behind = pattern.len - (size_t)(last + 1 - pattern.data);
	if (text.len < before + behind || !same(pattern.data, text.data, before, how) ||
		!same(last + 1, text.data + text.len - behind, behind, how))
		return false;
	text.len -= behind;
	at = before;
	while (first < last) {
		const char *next = memchr(first + 1, '*', (size_t)(last - first));
		struct http_text part = { first + 1, (size_t)(next - first - 1) };

		if (part.len && !(at = find(part, text, at, how)))
			return false;
		first = next;
	}
	return true;
}

/* ---- a word of the list ---- */

static int parse_path(const char *word, struct ten_error *err)
{
	for (const char *at = word; *at; at++) {
		if (*at == '?')
			return ten_error_set(err, 0,
				"\"%.80s\": a path is compared without its query: leave out what "
				"begins with the \"?\"",
				word);
		if (*at <= ' ' || *at >= 0x7f || *at == '#')
			return ten_error_set(err, 0,
				"\"%.80s\": a path holds no blanks, no \"#\" and only ASCII: write "
				"others as %%XX",
				word);
	}
	return 0;
}

static int parse_method(const char *method, struct ten_error *err)
{
	if (!http_is_token(method, strlen(method)) ||
		strpbrk(method, "abcdefghijklmnopqrstuvwxyz*"))
		return ten_error_set(err, 0,
			"\"method:%.80s\" is no method: write one as \"method:HEAD\", in capitals",
			method);
	return 0;
}

static int parse_agent(const char *agent, struct ten_error *err)
{
	if (*agent && http_is_value(agent, strlen(agent)))
		return 0;
	return ten_error_set(err, 0,
		"\"agent:%.80s\" is no pattern of a User-Agent: write one as \"agent:*bot*\"",
		agent);
}

static int parse_from(const char *text, struct wake_rule *rule, struct ten_error *err)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct config_network network;

	if (config_network_parse(text, &network, err) < 0)
		return ten_error_wrap(err, "from");
	if (network.family == CONFIG_IPV4) {
		memcpy(rule->address, mapped, sizeof(mapped));
		memcpy(rule->address + 12, network.bytes, 4);
		rule->prefix = (uint8_t)(96 + network.prefix);
	} else {
		memcpy(rule->address, network.bytes, 16);
		rule->prefix = (uint8_t)network.prefix;
	}
	/* An IPv6 network that is wider than those is not meant to hold IPv4. */
	rule->kind = rule->prefix >= 96 && memcmp(rule->address, mapped, sizeof(mapped)) == 0
			     ? WAKE_RULE_FROM_V4
			     : WAKE_RULE_FROM_V6;
	return 0;
}

int wake_rule_parse(
	const char *word, struct wake_rule *rule, const char **pattern, struct ten_error *err)
{
	size_t len = strlen(word);
	int rc;

	*rule = (struct wake_rule){ 0 };
	*pattern = word;
	if (!len)
		return ten_error_set(err, 0,
			"an empty word is no rule: write \"/path\", \"method:HEAD\", "
			"\"agent:*bot*\" or \"from:192.0.2.0/24\"");
	if (len > WAKE_RULE_MAX)
		return ten_error_set(
			err, 0, "\"%.40s...\" is longer than %d bytes", word, WAKE_RULE_MAX);
	if (*word == '/') {
		rule->kind = WAKE_RULE_PATH;
		rc = parse_path(word, err);
	} else if (strncmp(word, "method:", 7) == 0) {
		rule->kind = WAKE_RULE_METHOD;
		*pattern += 7;
		rc = parse_method(*pattern, err);
	} else if (strncmp(word, "agent:", 6) == 0) {
		rule->kind = WAKE_RULE_AGENT;
		*pattern += 6;
		rc = parse_agent(*pattern, err);
	} else if (strncmp(word, "from:", 5) == 0) {
		*pattern += len; /* the address is all there is to it */
		rc = parse_from(word + 5, rule, err);
	} else {
		rc = ten_error_set(err, 0,
			"\"%.80s\" is no rule: write \"/path\", \"method:HEAD\", \"agent:*bot*\" "
			"or \"from:192.0.2.0/24\"",
			word);
	}
	rule->len = (uint16_t)strlen(*pattern);
	return rc;
}

/* ---- a request ---- */

bool wake_address_read(struct http_text text, uint8_t address[16])
{
	char copy[INET6_ADDRSTRLEN + 8]; /* with a port and brackets */
	char *begin = copy, *end;

	if (!text.len || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (*begin == '[') {
		end = strchr(++begin, ']');
		if (!end)
			return false;
		*end = '\0';
	} else {
		end = strchr(begin, ':');
		if (end && !strchr(end + 1, ':'))
			*end = '\0';
	}
	if (inet_pton(AF_INET6, begin, address) == 1)
		return true;
	memset(address, 0, 10);
	memset(address + 10, 0xff, 2);
	return inet_pton(AF_INET, begin, address + 12) == 1;
}

static struct http_text trimmed(const char *begin, const char *end)
{
	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	while (begin < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct http_text){ begin, (size_t)(end - begin) };
}

static bool read_first_line(const char *line, const char *end, struct wake_request *request)
{
	const char *target = memchr(line, ' ', (size_t)(end - line));
	const char *path_end, *query;

	if (!target++)
		return false;
	path_end = memchr(target, ' ', (size_t)(end - target));
	if (!path_end)
		return false;
	query = memchr(target, '?', (size_t)(path_end - target));
	if (query)
		path_end = query;
	request->method = (struct http_text){ line, (size_t)(target - 1 - line) };
	request->path = (struct http_text){ target, (size_t)(path_end - target) };
	return true;
}

bool wake_request_read(
	const char *data, size_t len, struct wake_request *request, struct http_text *real)
{
	const char *all_end = data + len, *line = data;

	*request = (struct wake_request){ 0 };
	*real = (struct http_text){ 0 };
	while (line < all_end) {
		const char *end = memchr(line, '\r', (size_t)(all_end - line));
		const char *colon;

		if (!end || end == line)
			break;
		colon = memchr(line, ':', (size_t)(end - line));
		if (line == data) {
			if (!read_first_line(line, end, request))
				return false;
		} else if (colon && http_text_is(line, (size_t)(colon - line), "user-agent")) {
			request->agent = trimmed(colon + 1, end);
		} else if (colon && http_text_is(line, (size_t)(colon - line), "x-real-ip")) {
			*real = trimmed(colon + 1, end);
		}
		line = all_end - end > 2 ? end + 2 : all_end;
	}
	return request->path.len > 0;
}

/* ---- matching ---- */

static bool holds(const struct wake_rule *rule, const struct wake_request *request)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool is_v4 = memcmp(request->address, mapped, sizeof(mapped)) == 0;
	unsigned prefix = rule->prefix <= 128 ? rule->prefix : 128;
	unsigned whole = prefix / 8, rest = prefix % 8;

	if (!request->has_address || is_v4 != (rule->kind == WAKE_RULE_FROM_V4) ||
		memcmp(rule->address, request->address, whole) != 0)
		return false;
	return !rest || (rule->address[whole] ^ request->address[whole]) >> (8 - rest) == 0;
}

static bool rule_matches(
	const struct wake_rule *rule, struct http_text pattern, const struct wake_request *request)
{
	struct http_text agent = request->agent;

	switch (rule->kind) {
	case WAKE_RULE_PATH:
		return wake_pattern_matches(pattern, request->path, WAKE_CASE_COUNTS);
	case WAKE_RULE_METHOD:
		return pattern.len == request->method.len &&
		       memcmp(pattern.data, request->method.data, pattern.len) == 0;
	case WAKE_RULE_AGENT:
		if (agent.len > WAKE_AGENT_MAX)
			agent.len = WAKE_AGENT_MAX;
		return agent.data && wake_pattern_matches(pattern, agent, WAKE_CASE_FOLDED);
	case WAKE_RULE_FROM_V4:
	case WAKE_RULE_FROM_V6:
		return holds(rule, request);
	default:
		return false;
	}
}

bool wake_rules_match(const struct wake_rules *rules, const struct wake_request *request)
{
	for (uint32_t i = 0; i < rules->count && i < WAKE_RULES_MAX; i++) {
		const struct wake_rule *rule = &rules->rules[i];
		struct http_text pattern = { NULL, rule->len };

		if (rule->at > rules->text_len || rule->len > rules->text_len - rule->at)
			continue;
		pattern.data = rules->text + rule->at;
		if (rule_matches(rule, pattern, request))
			return true;
	}
	return false;
}
