#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static const struct {
	const char *bytes;
	size_t len, count; /* 0 fields: not a message */
} messages[] = {
	{ "ping\0", 5, 1 },
	{ "end\0"
	  "17\0"
	  "0\0",
		9, 3 },
	{ "a\0"
	  "\0"
	  "\0",
		4, 3 }, /* empty fields but the verb are fields */
	{ "x\0\0\0\0", 5, 4 },
	{ "", 0, 0 },
	{ "\0", 1, 0 },
	{ "\0a\0", 3, 0 },
	{ "ping", 4, 0 },
	{ "ping\0pong", 9, 0 },
};

START_TEST(parse)
{
	struct wire wire;
	size_t at = 0;

	ck_assert_int_eq(
		wire_parse(messages[_i].bytes, messages[_i].len, &wire), messages[_i].count > 0);
	if (!messages[_i].count)
		return;
	ck_assert_uint_eq(wire.count, messages[_i].count);
	for (size_t i = 0; i < wire.count; i++) {
		ck_assert_ptr_eq(wire.fields[i], messages[_i].bytes + at);
		at += strlen(wire.fields[i]) + 1;
	}
	ck_assert_uint_eq(at, messages[_i].len);
}
END_TEST

START_TEST(bounds)
{
	static char bytes[WIRE_BYTES + 1];
	struct wire wire;

	memset(bytes, 'a', WIRE_BYTES);
	bytes[WIRE_BYTES - 1] = '\0';
	ck_assert(wire_parse(bytes, WIRE_BYTES, &wire));
	ck_assert_uint_eq(strlen(wire.fields[0]), WIRE_BYTES - 1);
	bytes[WIRE_BYTES - 1] = 'a';
	ck_assert(!wire_parse(bytes, WIRE_BYTES, &wire));
	ck_assert(!wire_parse(bytes, WIRE_BYTES + 1, &wire));
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = 'a';
	ck_assert(wire_parse(bytes, WIRE_FIELDS + 1, &wire));
	ck_assert_uint_eq(wire.count, WIRE_FIELDS);
	ck_assert(!wire_parse(bytes, WIRE_FIELDS + 2, &wire));
}
END_TEST

START_TEST(is)
{
	static const char bytes[] = "spawn\0notes:alice\0007";
	struct wire wire;

	ck_assert(wire_parse(bytes, sizeof(bytes), &wire));
	ck_assert(wire_is(&wire, "spawn", 0));
	ck_assert(wire_is(&wire, "spawn", 2));
	ck_assert(!wire_is(&wire, "spawn", 3));
	ck_assert(!wire_is(&wire, "spawn", SIZE_MAX - 1));
	ck_assert(!wire_is(&wire, "spaw", 0));
	ck_assert(!wire_is(&wire, "spawned", 0));
}
END_TEST

static const struct {
	const char *text;
	int64_t minimum, maximum;
	bool valid;
	int64_t number;
} numbers[] = {
	{ "0", 0, 10, true, 0 }, { "10", 0, 10, true, 10 }, { "11", 0, 10, false, 0 },
	{ "-1", 0, 10, false, 0 }, { "-1", -1, 10, true, -1 }, { "-0", 0, 0, true, 0 },
	{ "007", 0, 10, true, 7 },
	{ "999999999999999999", INT64_MIN, INT64_MAX, true, 999999999999999999 },
	{ "-999999999999999999", INT64_MIN, INT64_MAX, true, -999999999999999999 },
	{ "9999999999999999999", INT64_MIN, INT64_MAX, false, 0 },
	{ "18446744073709551616", INT64_MIN, INT64_MAX, false, 0 },
	{ "", INT64_MIN, INT64_MAX, false, 0 }, { "-", INT64_MIN, INT64_MAX, false, 0 },
	{ "--1", INT64_MIN, INT64_MAX, false, 0 }, { "+1", INT64_MIN, INT64_MAX, false, 0 },
	{ " 1", INT64_MIN, INT64_MAX, false, 0 }, { "1 ", INT64_MIN, INT64_MAX, false, 0 },
	{ "1\n", INT64_MIN, INT64_MAX, false, 0 }, { "1a", INT64_MIN, INT64_MAX, false, 0 },
	{ "0x10", INT64_MIN, INT64_MAX, false, 0 }, { "1.0", INT64_MIN, INT64_MAX, false, 0 },
	{ "1e3", INT64_MIN, INT64_MAX, false, 0 },
	{ "\331\241", INT64_MIN, INT64_MAX, false, 0 }, /* an Arabic one */
};

START_TEST(number)
{
	int64_t value = 0;

	ck_assert_int_eq(
		wire_number(numbers[_i].text, numbers[_i].minimum, numbers[_i].maximum, &value),
		numbers[_i].valid);
	if (numbers[_i].valid)
		ck_assert_int_eq(value, numbers[_i].number);
}
END_TEST

START_TEST(there_and_back)
{
	static struct wire_buffer buffer;
	struct wire wire;
	int64_t value;

	ck_assert(wire_add(&buffer, "ended"));
	ck_assert(wire_add(&buffer, ""));
	ck_assert(wire_add_number(&buffer, -42));
	ck_assert(wire_add_number(&buffer, 999999999999999999));
	ck_assert(wire_add(&buffer, "two words\n"));
	ck_assert(wire_parse(buffer.bytes, buffer.len, &wire));
	ck_assert(wire_is(&wire, "ended", 4));
	ck_assert_str_eq(wire.fields[1], "");
	ck_assert(wire_number(wire.fields[2], -100, 100, &value));
	ck_assert_int_eq(value, -42);
	ck_assert(wire_number(wire.fields[3], 0, INT64_MAX, &value));
	ck_assert_int_eq(value, 999999999999999999);
	ck_assert_str_eq(wire.fields[4], "two words\n");
}
END_TEST

/* What does not fit is left out whole, and what is smaller still fits. */
START_TEST(full)
{
	static struct wire_buffer buffer;
	static char field[WIRE_BYTES + 1];
	struct wire wire;

	memset(field, 'x', WIRE_BYTES);
	ck_assert(!wire_add(&buffer, field));
	ck_assert_uint_eq(buffer.len, 0);
	field[WIRE_BYTES - 3] = '\0';
	ck_assert(wire_add(&buffer, field));
	ck_assert_uint_eq(buffer.len, WIRE_BYTES - 2);
	ck_assert(!wire_add(&buffer, "ab"));
	ck_assert(!wire_add_number(&buffer, 10));
	ck_assert_uint_eq(buffer.len, WIRE_BYTES - 2);
	ck_assert(wire_add_number(&buffer, 1));
	ck_assert_uint_eq(buffer.len, WIRE_BYTES);
	ck_assert(!wire_add(&buffer, ""));
	ck_assert(wire_parse(buffer.bytes, buffer.len, &wire));
	ck_assert_uint_eq(wire.count, 2);
	ck_assert_str_eq(wire.fields[1], "1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tests = tcase_create("wire");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, parse, 0, sizeof(messages) / sizeof(messages[0]));
	tcase_add_test(tests, bounds);
	tcase_add_test(tests, is);
	tcase_add_loop_test(tests, number, 0, sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(tests, there_and_back);
	tcase_add_test(tests, full);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
