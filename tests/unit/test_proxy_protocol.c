#include <arpa/inet.h>
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_protocol.h"

#define V6  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define X10 "xxxxxxxxxx"

/* Version 1 (proxy-protocol.txt, 2.1). */
static const struct {
	const char *data;
	const char *source; /* address; "peer"; NULL: refused */
} lines[] = {
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1" },
	{ "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255" },
	{ "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0" },
	{ "PROXY TCP6 2001:db8::1 ::1 4124 443\r\n", "2001:db8::1" },
	{ "PROXY TCP6 " V6 " " V6 " 65535 65535\r\n", V6 },
	{ "PROXY TCP6 2001:DB8::A ::ffff:192.0.2.2 1 2\r\n", "2001:db8::a" },
	{ "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1" },
	{ "PROXY UNKNOWN\r\n", "peer" },
	{ "PROXY UNKNOWN \r\n", "peer" },
	{ "PROXY UNKNOWN " V6 " " V6 " 65535 65535\r\n", "peer" }, /* 107 bytes */
	{ "PROXY UNKNOWN what ever \xff it is\r\n", "peer" },
	/* something else */
	{ "GET / HTTP/1.1\r\n\r\n", NULL },
	{ "POST / HTTP/1.1\r\n\r\n", NULL },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL },
	{ "PROXY\r\n", NULL },
	{ "PROXY \r\n", NULL },
	{ "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ " PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "\nPROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "\x16\x03\x01\x02", NULL },
	/* its protocol */
	{ "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY UNKNOWNS\r\n", NULL },
	{ "PROXY unknown\r\n", NULL },
	{ "PROXY TCP4\r\n", NULL },
	{ "PROXY TCP4 \r\n", NULL },
	/* its addresses */
	{ "PROXY TCP4 192.0.2.1\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 \r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2\r\n", NULL },
	{ "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.02.2 1 2\r\n", NULL },
	{ "PROXY TCP4 0xc0000201 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1. 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1:1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 2001:db8::1 ::1 1 2\r\n", NULL },
	{ "PROXY TCP4 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP6 2001:db8::1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP6 2001:db8:::1 ::1 1 2\r\n", NULL },
	{ "PROXY TCP6 [2001:db8::1] ::1 1 2\r\n", NULL },
	{ "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", NULL },
	{ "PROXY TCP6 12345::1 ::1 1 2\r\n", NULL },
	{ "PROXY TCP4 example.com 192.0.2.2 1 2\r\n", NULL },
	/* its ports */
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2  1\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 00\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 4294967297\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1a 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", NULL },
	/* its white space and its end */
	{ "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", NULL },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx\n", NULL },
	{ "PROXY UNKNOWN a\nb\r\n", NULL },
	{ "PROXY UNKNOWN a\rb\r\n", NULL },
	{ "PROXY UNKNOWN \x01\r\n", NULL },
	{ "PROXY UNKNOWN \x7f\r\n", NULL },
	{ "PROXY UNKNOWN " V6 " " V6 " 65535 65535 \r\n", NULL }, /* 108 bytes */
	{ "PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxx", NULL },
};

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FOUR      "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
#define SIX                                                                                        \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xdc\x04\x01" \
	"\xbb"
#define ZERO27      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define PATHS       ZERO27 ZERO27 ZERO27 ZERO27 ZERO27 ZERO27 ZERO27 ZERO27
#define BYTES(text) (text), sizeof(text) - 1

/* Version 2 (2.2). */
static const struct {
	const char *data;
	size_t len;
	const char *source; /* as above; "path" */
	size_t bytes;       /* that the header takes */
} binaries[] = {
	{ BYTES(SIGNATURE "\x21\x11\0\x0c" FOUR), "192.0.2.1", 28 },
	{ BYTES(SIGNATURE "\x21\x12\0\x0c" FOUR), "192.0.2.1", 28 },
	{ BYTES(SIGNATURE "\x21\x21\0\x24" SIX), "2001:db8::1", 52 },
	{ BYTES(SIGNATURE "\x21\x22\0\x24" SIX), "2001:db8::1", 52 },
	{ BYTES(SIGNATURE "\x21\x31\0\xd8" PATHS), "path", 232 },
	{ BYTES(SIGNATURE "\x21\x32\0\xd8" PATHS), "path", 232 },
	{ BYTES(SIGNATURE "\x21\x00\0\0"), "peer", 16 },
	{ BYTES(SIGNATURE "\x20\x00\0\0"), "peer", 16 },
	/* with extensions, seen or still to come */
	{ BYTES(SIGNATURE "\x21\x11\0\x13" FOUR "\x04\0\x04zzzz"), "192.0.2.1", 35 },
	{ BYTES(SIGNATURE "\x21\x11\0\x13" FOUR), "192.0.2.1", 35 },
	{ BYTES(SIGNATURE "\x21\x11\xff\xff" FOUR), "192.0.2.1", PROXY_PROTOCOL_MAX },
	{ BYTES(SIGNATURE "\x21\x00\0\x07\x04\0\x04zzzz"), "peer", 23 },
	/* LOCAL: what is said of addresses is void, even where it is nonsense */
	{ BYTES(SIGNATURE "\x20\x11\0\x0c" FOUR), "peer", 28 },
	{ BYTES(SIGNATURE "\x20\x11\0\0"), "peer", 16 },
	{ BYTES(SIGNATURE "\x20\xff\xff\xff"), "peer", PROXY_PROTOCOL_MAX },
	/* no such version, command, family, transport */
	{ BYTES(SIGNATURE "\x11\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x31\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x01\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x22\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x2f\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x41\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x13\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x10\0\x0c" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x01\0\x0c" FOUR), NULL, 0 },
	/* shorter than the addresses it promises */
	{ BYTES(SIGNATURE "\x21\x11\0\x0b" FOUR), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x11\0\0"), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x21\0\x23" SIX), NULL, 0 },
	{ BYTES(SIGNATURE "\x21\x31\0\xd7" PATHS), NULL, 0 },
	/* another signature */
	{ BYTES("\r\n\r\n\0\r\nQUIt\n\x21\x11\0\x0c" FOUR), NULL, 0 },
	{ BYTES("\r\n\r\nGET / HTTP/1.1\r\n"), NULL, 0 },
	{ BYTES("\n"), NULL, 0 },
};

static const char *source_of(const struct proxy_protocol *header, char text[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool ipv4 = memcmp(header->address, mapped, 12) == 0;

	if (header->source == PROXY_PROTOCOL_PEER)
		return "peer";
	if (header->source == PROXY_PROTOCOL_PATH)
		return "path";
	return inet_ntop(ipv4 ? AF_INET : AF_INET6, header->address + (ipv4 ? 12 : 0), text,
		INET6_ADDRSTRLEN);
}

/* Byte by byte the outcome is the same, and comes no later than with the last byte that counts. */
static void check(const char *data, size_t len, const char *source, size_t bytes)
{
	struct proxy_protocol header, pieces;
	char text[INET6_ADDRSTRLEN];
	/* In memory of exactly that size, so that a sanitizer sees a step beyond. */
	char *copy = malloc(len);
	int whole, result = 0;

	memcpy(copy, data, len);
	whole = proxy_protocol_parse(&header, copy, len);
	if (source) {
		ck_assert_msg(whole == (int)bytes, "%s\n-> %d %s", data, whole,
			header.refused ? header.refused : "");
		ck_assert_str_eq(source_of(&header, text), source);
		ck_assert_ptr_null(header.refused);
	} else {
		ck_assert_msg(whole == -1, "%s\n-> %d", data, whole);
		ck_assert_ptr_nonnull(header.refused);
	}
	for (size_t at = 0; at <= len && !result; at++)
		result = proxy_protocol_parse(&pieces, copy, at);
	ck_assert_int_eq(result, whole);
	ck_assert_int_eq(pieces.source, header.source);
	ck_assert_mem_eq(pieces.address, header.address, sizeof(header.address));
	free(copy);
}

START_TEST(test_lines)
{
	check(lines[_i].data, strlen(lines[_i].data), lines[_i].source, strlen(lines[_i].data));
}
END_TEST

START_TEST(test_binaries)
{
	check(binaries[_i].data, binaries[_i].len, binaries[_i].source, binaries[_i].bytes);
}
END_TEST

/* What follows a header is none of its business. */
START_TEST(test_what_follows)
{
	static const char line[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n";
	static const char binary[] = SIGNATURE "\x21\x11\0\x0c" FOUR "\r\n\r\n\0\r\nQUIT";
	struct proxy_protocol header;

	ck_assert_int_eq(proxy_protocol_parse(&header, line, sizeof(line) - 1), 36);
	ck_assert_int_eq(proxy_protocol_parse(&header, binary, sizeof(binary) - 1), 28);
}
END_TEST

START_TEST(test_nul)
{
	static const char data[] = "PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n";
	static const char late[] = "PROXY UNKNOWN \0\r\n";
	struct proxy_protocol header;

	ck_assert_int_eq(proxy_protocol_parse(&header, data, sizeof(data) - 1), -1);
	ck_assert_int_eq(proxy_protocol_parse(&header, late, sizeof(late) - 1), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy_protocol");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, test_lines, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_loop_test(tests, test_binaries, 0, sizeof(binaries) / sizeof(binaries[0]));
	tcase_add_test(tests, test_what_follows);
	tcase_add_test(tests, test_nul);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
