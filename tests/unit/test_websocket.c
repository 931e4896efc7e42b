#include <check.h>
#include <stdlib.h>

#include "websocket.h"

#define MASK  "\x01\x02\x03\x04"
#define PING0 "\x89\x80" MASK
#define PING3 "\x89\x83" MASK "abc"
#define TEXT1 "\x81\x81" MASK "a"

#define ROW(text, pings)                                                                           \
	{                                                                                          \
		text, sizeof(text) - 1, pings                                                      \
	}
static const struct {
	const char *data;
	size_t len;
	bool pings;
} rows[] = {
	ROW(PING0, true),
	ROW(PING3, true),
	ROW(PING3 PING0 PING3, true),
	ROW("", false),
	ROW(TEXT1, false),
	ROW(PING0 TEXT1, false),
	ROW(TEXT1 PING0, false),
	ROW("\x8a\x80" MASK, false), /* a pong */
	ROW("\x88\x80" MASK, false), /* a close */
	ROW("\x09\x80" MASK, false), /* not final: no control frame is */
	ROW("\xc9\x80" MASK, false), /* an extension's bit */
	ROW("\x89\x00", false),      /* not masked: no client's */
	ROW("\x89", false),
	ROW("\x89\x80\x01\x02\x03", false),
	ROW("\x89\x83" MASK "ab", false), /* cut short */
	ROW(PING0 "\x89", false),
	ROW("\x89\xfe" MASK "\x00\x7e", false), /* longer than a control frame may be */
	ROW("\x89\xff" MASK, false),
};

START_TEST(pings)
{
	ck_assert_int_eq(websocket_is_pings(rows[_i].data, rows[_i].len), rows[_i].pings);
}
END_TEST

START_TEST(longest)
{
	char frame[2 + 4 + 125] = { '\x89', '\xfd' };

	ck_assert(websocket_is_pings(frame, sizeof(frame)));
	ck_assert(!websocket_is_pings(frame, sizeof(frame) - 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("websocket");
	TCase *tests = tcase_create("websocket");
	SRunner *runner = srunner_create(suite);
	int bad;

	tcase_add_loop_test(tests, pings, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tests, longest);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
