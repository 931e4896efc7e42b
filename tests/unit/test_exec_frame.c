#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "exec_frame.h"
#include "mem.h"

START_TEST(there_and_back)
{
	autotext struct text out = { 0 };
	struct exec_frame frame;
	uint16_t rows, columns;
	ssize_t taken;

	exec_frame_put(&out, EXEC_STDIN, "a\0b", 3);
	exec_frame_put_size(&out, 24, 300);
	exec_frame_put_number(&out, EXEC_SIGNAL, 15);
	for (size_t len = 0; len < 8; len++)
		ck_assert_int_eq(exec_frame_read(out.data, len, EXEC_FROM_CLIENT, &frame), 0);
	ck_assert_int_eq(exec_frame_read(out.data, out.len, EXEC_FROM_SERVER, &frame), -1);
	taken = exec_frame_read(out.data, out.len, EXEC_FROM_CLIENT, &frame);
	ck_assert_int_eq(taken, 8);
	ck_assert(frame.type == EXEC_STDIN && frame.len == 3 && !memcmp(frame.bytes, "a\0b", 3));
	ck_assert_int_eq(exec_frame_read(out.data + 8, out.len - 8, EXEC_FROM_CLIENT, &frame), 9);
	exec_frame_size(&frame, &rows, &columns);
	ck_assert(rows == 24 && columns == 300);
	ck_assert_int_eq(exec_frame_read(out.data + 17, out.len - 17, EXEC_FROM_CLIENT, &frame), 6);
	ck_assert_uint_eq(exec_frame_number(&frame), 15);
	text_free(&out);
	exec_frame_put_number(&out, EXEC_TAKEN, 0x01020304);
	ck_assert_int_eq(exec_frame_read(out.data, out.len, EXEC_FROM_SERVER, &frame), 9);
	ck_assert_uint_eq(exec_frame_number(&frame), 0x01020304);
}
END_TEST

static const struct {
	enum exec_side side;
	size_t len;
	const char *bytes;
} wrong[] = {
	{ EXEC_FROM_CLIENT, 1, "\x00" }, { EXEC_FROM_CLIENT, 1, "\x06" },
	{ EXEC_FROM_CLIENT, 1, "\x12" },                     /* EXIT is the server's */
	{ EXEC_FROM_SERVER, 1, "\x01" },                     /* and COMMAND the client's */
	{ EXEC_FROM_CLIENT, 5, "\x02\x00\x00\x00\x00" },     /* no bytes */
	{ EXEC_FROM_CLIENT, 5, "\x02\x00\x01\x00\x01" },     /* too many */
	{ EXEC_FROM_CLIENT, 5, "\x02\xff\xff\xff\xff" },     /* likewise */
	{ EXEC_FROM_CLIENT, 5, "\x03\x00\x00\x00\x01" },     /* an end with bytes */
	{ EXEC_FROM_CLIENT, 5, "\x04\x00\x00\x00\x03" },     /* half a size */
	{ EXEC_FROM_CLIENT, 6, "\x05\x00\x00\x00\x01\x09" }, /* KILL */
	{ EXEC_FROM_SERVER, 5, "\x12\x00\x00\x00\x02" },     /* a long exit code */
	{ EXEC_FROM_CLIENT, 5, "\x01\x00\x00\x00\x05" },     /* a command without TERM */
};

START_TEST(refused)
{
	struct exec_frame frame;

	ck_assert_int_eq(
		exec_frame_read(wrong[_i].bytes, wrong[_i].len, wrong[_i].side, &frame), -1);
}
END_TEST

START_TEST(command)
{
	char *argv[] = { "sh", "-c", "", "b", NULL };
	struct exec_command sent = { true, 50, 132, "xterm-256color", argv }, came;
	autotext struct text out = { 0 };
	struct exec_frame frame;

	ck_assert(exec_command_put(&out, &sent));
	ck_assert_int_eq(
		exec_frame_read(out.data, out.len, EXEC_FROM_CLIENT, &frame), (ssize_t)out.len);
	ck_assert(exec_command_read(&frame, &came));
	ck_assert(came.tty && came.rows == 50 && came.columns == 132);
	ck_assert_str_eq(came.terminal, "xterm-256color");
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(came.argv[i], argv[i]);
	ck_assert_ptr_null(came.argv[4]);
	exec_command_free(&came);

	/* none: a shell */
	text_free(&out);
	sent.argv = argv + 4;
	ck_assert(exec_command_put(&out, &sent));
	ck_assert(exec_frame_read(out.data, out.len, EXEC_FROM_CLIENT, &frame) > 0);
	ck_assert(exec_command_read(&frame, &came));
	ck_assert_ptr_null(came.argv[0]);
	exec_command_free(&came);
}
END_TEST

START_TEST(command_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} commands[] = {
		{ "\x02\0\0\0\0\0ls", 9 },     /* an unknown flag */
		{ "\0\0\0\0\0\0ls", 8 },       /* the last word has no end */
		{ "\0\0\0\0\0xterm", 10 },     /* nor has TERM */
		{ "\0\0\0\0\0a=b\0ls", 12 },   /* no terminal */
		{ "\0\0\0\0\0../x;\0ls", 14 }, /* nor this */
	};
	struct exec_command came;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		struct exec_frame frame = { EXEC_COMMAND, commands[i].bytes, commands[i].len };

		ck_assert_msg(!exec_command_read(&frame, &came), "%zu", i);
	}
}
END_TEST

START_TEST(command_too_large)
{
	autofree char *word = mem_alloc(EXEC_FRAME_MAX + 1);
	char *many[EXEC_ARGS_MAX + 2] = { NULL }, *argv[] = { word, NULL };
	struct exec_command sent = { .argv = argv };
	autotext struct text out = { 0 };

	memset(word, 'a', EXEC_FRAME_MAX);
	ck_assert(!exec_command_put(&out, &sent));
	for (size_t i = 0; i < EXEC_ARGS_MAX + 1; i++)
		many[i] = "a";
	sent.argv = many;
	ck_assert(!exec_command_put(&out, &sent));
	strcpy(sent.terminal, "a b");
	sent.argv = argv + 1;
	ck_assert(!exec_command_put(&out, &sent));
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec_frame");
	TCase *tc = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, there_and_back);
	tcase_add_loop_test(tc, refused, 0, (int)(sizeof(wrong) / sizeof(*wrong)));
	tcase_add_test(tc, command);
	tcase_add_test(tc, command_refused);
	tcase_add_test(tc, command_too_large);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
