#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check_often.h"
#include "mem.h"
#include "wake_rules.h"

static struct http_text text_of(const char *string)
{
	return (struct http_text){ string, strlen(string) };
}

/* ---- patterns ---- */

static const struct {
	const char *pattern, *text;
	bool exact, folded;
} patterns[] = {
	{ "/favicon.ico", "/favicon.ico", true, true },
	{ "/favicon.ico", "/favicon.ic", false, false },
	{ "/favicon.ico", "/favicon.icos", false, false },
	{ "/favicon.ico", "/Favicon.ico", false, true },
	{ "", "", true, true },
	{ "", "a", false, false },
	{ "*", "", true, true },
	{ "*", "anything at all", true, true },
	{ "**", "", true, true },
	{ "/*", "/", true, true },
	{ "/*", "x/", false, false },
	{ "*.php", "/a.php", true, true },
	{ "*.php", "/a.php5", false, false },
	{ "*.php", ".php", true, true },
	{ "/a*a", "/a", false, false }, /* one character is not both ends */
	{ "/a*a", "/aa", true, true },
	{ "*bot*", "Googlebot/2.1", true, true },
	{ "*bot*", "GoogleBOT/2.1", false, true },
	{ "*bot*", "bo", false, false },
	{ "*a*b*c*", "xxaxxbxxcxx", true, true },
	{ "*a*b*c*", "xxcxxbxxaxx", false, false },
	{ "a*b*c", "abbc", true, true },
	{ "a*bc*c", "abc", false, false }, /* the end is taken already */
	{ "a*b**c", "a-b-c", true, true },
	{ "*aab*", "aaaaab", true, true }, /* what was matched in part is not lost */
	{ "*abab*c", "ababababc", true, true },
	{ "*abac*", "abababac", true, true },
	{ "a**b", "ab", true, true },
	{ "?", "a", false, false }, /* nothing else is special */
	{ "[a]", "a", false, false },
	{ "\xc3\x84*", "\xc3\x84x", true, true },
};

START_TEST(pattern)
{
	struct http_text p = text_of(patterns[_i].pattern), t = text_of(patterns[_i].text);

	ck_assert_msg(wake_pattern_matches(p, t, WAKE_CASE_COUNTS) == patterns[_i].exact,
		"\"%s\" and \"%s\"", patterns[_i].pattern, patterns[_i].text);
	ck_assert_msg(wake_pattern_matches(p, t, WAKE_CASE_FOLDED) == patterns[_i].folded,
		"\"%s\" and \"%s\", folded", patterns[_i].pattern, patterns[_i].text);
}
END_TEST

/* What it must be, the slow way. */
static bool reference(const char *p, const char *t)
{
	if (!*p)
		return !*t;
	if (*p == '*')
		return reference(p + 1, t) || (*t && reference(p, t + 1));
	return *p == *t && reference(p + 1, t + 1);
}

START_TEST(patterns_at_random)
{
	static const char letters[] = "ab*";
	uint32_t seed = 1;
	uint32_t matches = 0;

	for (int round = 0; round < 200000; round++) {
		char p[8] = "", t[10] = "";

		for (int i = 0; i < 7 && (seed = seed * 1664525u + 1013904223u) >> 29; i++)
			p[i] = letters[(seed >> 16) % 3];
		for (int i = 0; i < 9 && (seed = seed * 1664525u + 1013904223u) >> 29; i++)
			t[i] = letters[(seed >> 16) % 2];
		matches += reference(p, t);
		ck_assert_msg(wake_pattern_matches(text_of(p), text_of(t), WAKE_CASE_COUNTS) ==
				      reference(p, t),
			"\"%s\" and \"%s\"", p, t);
	}
	ck_assert_uint_gt(matches, 1000);
}
END_TEST

static uint64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* The worst list there can be and the longest of paths: some half a million steps. Backtracking
 * would not come back. */
START_TEST(the_worst_list_is_soon_through)
{
	struct wake_rule rules[WAKE_RULES_MAX];
	char text[WAKE_RULE_MAX], path[8192];
	struct wake_rules list = { rules, WAKE_RULES_MAX, text, sizeof(text) };
	struct wake_request request = { .path = { path, sizeof(path) }, .method = { "GET", 3 } };
	uint64_t begin;

	memset(path, 'a', sizeof(path));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 8 == 7 ? '*' : 'a';
	memcpy(text, "*aaaaaab", 8);
	for (int i = 0; i < WAKE_RULES_MAX; i++)
		rules[i] = (struct wake_rule){ .kind = WAKE_RULE_PATH, .len = sizeof(text) };
	begin = cpu_us();
	for (int round = 0; round < 10; round++)
		ck_assert(!wake_rules_match(&list, &request));
	ck_assert_uint_lt(cpu_us() - begin, 2000000);
}
END_TEST

/* ---- words ---- */

static const struct {
	const char *word;
	enum wake_rule_kind kind;
	const char *pattern, *problem; /* one of the two */
} words[] = {
	{ "/favicon.ico", WAKE_RULE_PATH, "/favicon.ico", NULL },
	{ "/*", WAKE_RULE_PATH, "/*", NULL },
	{ "method:HEAD", WAKE_RULE_METHOD, "HEAD", NULL },
	{ "agent:*bot*", WAKE_RULE_AGENT, "*bot*", NULL },
	{ "agent:Uptime Kuma", WAKE_RULE_AGENT, "Uptime Kuma", NULL },
	{ "from:192.0.2.0/24", WAKE_RULE_FROM_V4, "", NULL },
	{ "from:192.0.2.7", WAKE_RULE_FROM_V4, "", NULL },
	{ "from:2001:db8::/32", WAKE_RULE_FROM_V6, "", NULL },
	{ "from:::ffff:192.0.2.0/120", WAKE_RULE_FROM_V4, "", NULL },
	{ "from:::/0", WAKE_RULE_FROM_V6, "", NULL },
	{ "", 0, NULL, "an empty word is no rule" },
	{ "favicon.ico", 0, NULL, "\"favicon.ico\" is no rule: write \"/path\"" },
	{ "path:/x", 0, NULL, "\"path:/x\" is no rule" },
	{ "/a?b=1", 0, NULL, "without its query" },
	{ "/a b", 0, NULL, "write others as %XX" },
	{ "/\xc3\xa4", 0, NULL, "write others as %XX" },
	{ "method:", 0, NULL, "is no method" },
	{ "method:head", 0, NULL, "in capitals" },
	{ "method:*", 0, NULL, "is no method" },
	{ "method:GET POST", 0, NULL, "is no method" },
	{ "agent:", 0, NULL, "no pattern of a User-Agent" },
	{ "agent:a\nb", 0, NULL, "no pattern of a User-Agent" },
	{ "from:", 0, NULL, "no network in CIDR form" },
	{ "from:example.com", 0, NULL, "no network in CIDR form" },
	{ "from:192.0.2.0/33", 0, NULL, "from 0 to 32" },
	{ "from:192.0.2.1/24", 0, NULL, "bits set behind its prefix" },
};

START_TEST(one_word)
{
	struct wake_rule rule;
	struct ten_error err;
	const char *rest;
	int rc = wake_rule_parse(words[_i].word, &rule, &rest, &err);

	if (words[_i].problem) {
		ck_assert_int_lt(rc, 0);
		ck_assert_msg(strstr(err.text, words[_i].problem), "%s", err.text);
		return;
	}
	ck_assert_msg(rc == 0, "%s", err.text);
	ck_assert_int_eq(rule.kind, words[_i].kind);
	ck_assert_str_eq(rest, words[_i].pattern);
	ck_assert_uint_eq(rule.len, strlen(words[_i].pattern));
}
END_TEST

START_TEST(a_word_is_bounded)
{
	char longest[WAKE_RULE_MAX + 2];
	struct wake_rule rule;
	struct ten_error err;
	const char *rest;

	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[WAKE_RULE_MAX] = '\0';
	ck_assert_int_eq(wake_rule_parse(longest, &rule, &rest, &err), 0);
	longest[WAKE_RULE_MAX] = 'a';
	longest[WAKE_RULE_MAX + 1] = '\0';
	ck_assert_int_lt(wake_rule_parse(longest, &rule, &rest, &err), 0);
	ck_assert(strstr(err.text, "longer than 256 bytes"));
}
END_TEST

/* ---- requests ---- */

static bool matches(const char *word, const struct wake_request *request)
{
	struct wake_rule rule;
	struct wake_rules list = { &rule, 1, NULL, 0 };
	struct ten_error err;

	ck_assert_int_eq(wake_rule_parse(word, &rule, &list.text, &err), 0);
	list.text_len = rule.len;
	return wake_rules_match(&list, request);
}

static const char head[] = "GET /robots.txt?x=/favicon.ico HTTP/1.1\r\n"
			   "Host: alice.notes.localhost\r\n"
			   "user-AGENT: \t GoogleBot/2.1 \r\n"
			   "X-Real-IP: 192.0.2.9\r\n"
			   "\r\n"
			   "User-Agent: in the body\r\n";

START_TEST(a_head_is_read)
{
	struct wake_request request;
	struct http_text real;

	ck_assert(wake_request_read(head, sizeof(head) - 1, &request, &real));
	ck_assert(request.method.len == 3 && !memcmp(request.method.data, "GET", 3));
	ck_assert(request.path.len == 11 && !memcmp(request.path.data, "/robots.txt", 11));
	ck_assert(request.agent.len == 13 && !memcmp(request.agent.data, "GoogleBot/2.1", 13));
	ck_assert(real.len == 9 && !memcmp(real.data, "192.0.2.9", 9));
	ck_assert(!request.has_address);
	/* However much of it there is: nothing behind it is looked at. */
	for (size_t len = 0; len < sizeof(head) - 1; len++) {
		autofree char *part = mem_alloc(len + 1);
		char *exact = realloc(mem_steal(&part), len ? len : 1);

		memcpy(exact, head, len);
		wake_request_read(exact, len, &request, &real);
		free(exact);
	}
}
END_TEST

START_TEST(a_request_is_matched)
{
	struct wake_request request;
	struct http_text real;

	ck_assert(wake_request_read(head, sizeof(head) - 1, &request, &real));
	request.has_address = wake_address_read(real, request.address);
	ck_assert(request.has_address);
	ck_assert(matches("/robots.txt", &request));
	ck_assert(matches("/robots*", &request));
	ck_assert(!matches("/favicon.ico", &request));
	ck_assert(!matches("/robots.txt*x*", &request));
	ck_assert(matches("method:GET", &request));
	ck_assert(!matches("method:GE", &request));
	ck_assert(!matches("method:HEAD", &request));
	ck_assert(matches("agent:*BOT*", &request));
	ck_assert(!matches("agent:bot", &request));
	ck_assert(matches("from:192.0.2.0/24", &request));
	ck_assert(matches("from:192.0.2.8/31", &request));
	ck_assert(!matches("from:192.0.2.8", &request));
	ck_assert(matches("from:0.0.0.0/0", &request));
	/* IPv4 is not in IPv6's networks. */
	ck_assert(!matches("from:::/0", &request));
	request.has_address = false;
	ck_assert(!matches("from:0.0.0.0/0", &request));
	request.agent = (struct http_text){ 0 };
	ck_assert(!matches("agent:*", &request));
}
END_TEST

START_TEST(ipv6_is_matched)
{
	struct wake_request request = { .has_address = true };

	inet_pton(AF_INET6, "2001:db8:1::7", request.address);
	ck_assert(matches("from:2001:db8::/32", &request));
	ck_assert(matches("from:2001:db8:1::7", &request));
	ck_assert(!matches("from:2001:db8:2::/48", &request));
	ck_assert(matches("from:::/0", &request));
	ck_assert(!matches("from:0.0.0.0/0", &request));
}
END_TEST

START_TEST(of_a_long_agent_the_beginning_counts)
{
	char agent[WAKE_AGENT_MAX + 3];
	struct wake_request request = { .agent = { agent, sizeof(agent) } };

	memset(agent, 'a', sizeof(agent));
	memcpy(agent + WAKE_AGENT_MAX, "bot", 3);
	ck_assert(!matches("agent:*bot*", &request));
	memcpy(agent + WAKE_AGENT_MAX - 3, "bot", 3);
	ck_assert(matches("agent:*bot*", &request));
}
END_TEST

static const struct {
	const char *text, *address; /* NULL: it is none */
} addresses[] = {
	{ "192.0.2.1", "::ffff:192.0.2.1" },
	{ "192.0.2.1:443", "::ffff:192.0.2.1" },
	{ "2001:db8::1", "2001:db8::1" },
	{ "[2001:db8::1]", "2001:db8::1" },
	{ "[2001:db8::1]:443", "2001:db8::1" },
	{ "", NULL },
	{ "unknown", NULL },
	{ "_hidden", NULL },
	{ "192.0.2.256", NULL },
	{ "[2001:db8::1", NULL },
	{ "192.0.2.1, 192.0.2.2", NULL },
	{ "2001:db8:0000:0000:0000:0000:0000:00000000000000000000000000001", NULL },
};

START_TEST(address)
{
	uint8_t got[16], wanted[16];
	bool is = wake_address_read(text_of(addresses[_i].text), got);

	ck_assert(is == !!addresses[_i].address);
	if (is) {
		inet_pton(AF_INET6, addresses[_i].address, wanted);
		ck_assert_mem_eq(got, wanted, 16);
	}
}
END_TEST

/* The table is memory that somebody else wrote. */
START_TEST(a_damaged_list_matches_nothing)
{
	struct wake_rule rule = { .kind = WAKE_RULE_PATH, .len = 2 };
	struct wake_rules list = { &rule, 1, "/a", 2 };
	struct wake_request request = { .path = { "/a", 2 }, .has_address = true };

	ck_assert(wake_rules_match(&list, &request));
	rule.at = 1;
	ck_assert(!wake_rules_match(&list, &request));
	rule.at = UINT32_MAX;
	ck_assert(!wake_rules_match(&list, &request));
	rule = (struct wake_rule){ .kind = WAKE_RULE_PATH, .len = UINT16_MAX };
	ck_assert(!wake_rules_match(&list, &request));
	rule = (struct wake_rule){ .kind = WAKE_RULE_KINDS, .len = 2 };
	ck_assert(!wake_rules_match(&list, &request));
	rule = (struct wake_rule){ .kind = WAKE_RULE_FROM_V6, .prefix = 255 };
	rule.address[0] = 1;
	ck_assert(!wake_rules_match(&list, &request));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wake_rules");
	TCase *tests = tcase_create("wake_rules");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, pattern, 0, sizeof(patterns) / sizeof(patterns[0]));
	tcase_add_test(tests, patterns_at_random);
	tcase_add_test(tests, the_worst_list_is_soon_through);
	tcase_add_loop_test(tests, one_word, 0, sizeof(words) / sizeof(words[0]));
	tcase_add_test(tests, a_word_is_bounded);
	tcase_add_test(tests, a_head_is_read);
	tcase_add_test(tests, a_request_is_matched);
	tcase_add_test(tests, ipv6_is_matched);
	tcase_add_test(tests, of_a_long_agent_the_beginning_counts);
	tcase_add_loop_test(tests, address, 0, sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_test(tests, a_damaged_list_matches_nothing);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
