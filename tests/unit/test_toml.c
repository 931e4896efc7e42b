#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"
#include "toml.h"

static const struct {
	const char *text;
	const char *json;
} dumps[] = {
	{ "", "{}" },
	{ "a = 1", "{\"a\": {\"type\": \"integer\", \"value\": \"1\"}}" },
	{ "a = 0x_ff", NULL },
	{ "a = 0xff", "{\"a\": {\"type\": \"integer\", \"value\": \"255\"}}" },
	{ "a = -9223372036854775808",
		"{\"a\": {\"type\": \"integer\", \"value\": \"-9223372036854775808\"}}" },
	{ "a = 1.5", "{\"a\": {\"type\": \"float\", \"value\": \"1.5\"}}" },
	{ "a = 0.1", "{\"a\": {\"type\": \"float\", \"value\": \"0.1\"}}" },
	{ "a = inf", "{\"a\": {\"type\": \"float\", \"value\": \"inf\"}}" },
	{ "a = -inf", "{\"a\": {\"type\": \"float\", \"value\": \"-inf\"}}" },
	{ "a = -nan", "{\"a\": {\"type\": \"float\", \"value\": \"nan\"}}" },
	{ "a = true", "{\"a\": {\"type\": \"bool\", \"value\": \"true\"}}" },
	{ "a = \"q\\\"\\\\\\n\\u0000\303\244\"",
		"{\"a\": {\"type\": \"string\", \"value\": \"q\\\"\\\\\\u000a\\u0000\303\244\"}}" },
	{ "a = 1979-05-27T07:32:00.5-07:30",
		"{\"a\": {\"type\": \"datetime\", \"value\": \"1979-05-27T07:32:00.5-07:30\"}}" },
	{ "a = 1979-05-27T07:32:00Z",
		"{\"a\": {\"type\": \"datetime\", \"value\": \"1979-05-27T07:32:00Z\"}}" },
	{ "a = 1979-05-27 07:32:00",
		"{\"a\": {\"type\": \"datetime-local\", \"value\": \"1979-05-27T07:32:00\"}}" },
	{ "a = 1979-05-27", "{\"a\": {\"type\": \"date-local\", \"value\": \"1979-05-27\"}}" },
	{ "a = 07:32:00.999999",
		"{\"a\": {\"type\": \"time-local\", \"value\": \"07:32:00.999999\"}}" },
	{ "a = [1, [true]]",
		"{\"a\": [{\"type\": \"integer\", \"value\": \"1\"}, [{\"type\": \"bool\", "
		"\"value\": \"true\"}]]}" },
	{ "[b]\n[a.c]\n[[d]]\n[[d]]", "{\"b\": {}, \"a\": {\"c\": {}}, \"d\": [{}, {}]}" },
};

START_TEST(dump)
{
	const char *text = dumps[_i].text;
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, strlen(text), &fault);
	autofree char *json = NULL;

	if (!dumps[_i].json) {
		ck_assert_ptr_null(document);
		return;
	}
	ck_assert_msg(document != NULL, "%s", fault.message);
	json = toml_dump_json(toml_root(document));
	ck_assert_str_eq(json, dumps[_i].json);
	toml_free(document);
}
END_TEST

static const struct {
	const char *text;
	size_t len;
	int line, column;
} faults[] = {
	{ "a = ", 4, 1, 5 }, { "a = 1\nb = \n", 11, 2, 5 }, { "a = 1\na = 2\n", 12, 2, 5 },
	{ "[.", 2, 1, 2 }, { "a = \"x\0y\"", 9, 1, 7 }, { "# \0", 3, 1, 3 },
	{ "# \303\244\n# \377", 8, 2, 3 }, { "# \300\200", 4, 1, 3 }, /* too long a form */
	{ "# \355\240\200", 5, 1, 3 },                                /* half a surrogate pair */
	{ "# \364\220\200\200", 6, 1, 3 }, { "# \303", 3, 1, 3 },     /* cut short */
};

START_TEST(refuse)
{
	struct toml_fault fault = { 0 };

	ck_assert_ptr_null(toml_parse(faults[_i].text, faults[_i].len, &fault));
	ck_assert_int_eq(fault.line, faults[_i].line);
	ck_assert_int_eq(fault.column, faults[_i].column);
	ck_assert_int_ne(fault.message[0], '\0');
}
END_TEST

START_TEST(places)
{
	static const char text[] = "# one\n"
				   "z = 1\n"
				   "\ta = \"\303\244\"  # tab before\n"
				   "[t.u]\n"
				   "  k = [ 5, 'x' ]\n"
				   "d.e = { f = true }\n";
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, strlen(text), &fault);
	const struct toml_node *root;
	const struct toml_entry *entry;

	ck_assert_msg(document != NULL, "%s", fault.message);
	root = toml_root(document);
	ck_assert_uint_eq(root->table.count, 3);
	ck_assert_str_eq(root->table.entries[0].key, "z");
	ck_assert_str_eq(root->table.entries[1].key, "a");
	ck_assert_str_eq(root->table.entries[2].key, "t");
	entry = toml_find(root, "a");
	ck_assert_int_eq(entry->line, 3);
	ck_assert_int_eq(entry->column, 2);
	ck_assert_int_eq(entry->value.column, 6);
	ck_assert_uint_eq(entry->value.string.len, 2);
	entry = toml_find(&toml_find(&toml_find(root, "t")->value, "u")->value, "k");
	ck_assert_int_eq(entry->line, 5);
	ck_assert_int_eq(entry->column, 3);
	ck_assert_int_eq(entry->value.array.items[1].column, 12);
	entry = toml_find(&toml_find(&toml_find(root, "t")->value, "u")->value, "d");
	entry = toml_find(&toml_find(&entry->value, "e")->value, "f");
	ck_assert_int_eq(entry->line, 6);
	ck_assert_int_eq(entry->column, 9);
	ck_assert_ptr_null(toml_find(root, "none"));
	ck_assert_ptr_null(toml_find(&toml_find(root, "z")->value, "none"));
	toml_free(document);
}
END_TEST

static void repeat(struct text *text, const char *part, size_t count)
{
	while (count--)
		text_puts(text, part);
}

static int parses(struct text *text)
{
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text->data, text->len, &fault);
	int good = document != NULL;

	toml_free(document);
	text_free(text);
	return good;
}

START_TEST(size)
{
	struct text text = { 0 };

	text_puts(&text, "a = 1 #");
	repeat(&text, "x", TOML_TEXT_MAX - text.len);
	ck_assert(parses(&text));
	text_puts(&text, "a = 1 #");
	repeat(&text, "x", TOML_TEXT_MAX - text.len + 1);
	ck_assert(!parses(&text));
}
END_TEST

/* Each way to nest, just deep enough and as deep as 64 KiB allow. */
static const struct {
	const char *before, *open, *middle, *close;
} nests[] = {
	{ "a = ", "[", "", "]" },
	{ "a = ", "{a=", "1", "}" },
	{ "", "a.", "a = 1", "" },
	{ "[", "a.", "a", "]" },
	{ "[[", "a.", "a", "]]" },
	{ "", "a.'.'.\"\".", "a = 1", "" },
	{ "a = ", "{a.a.a.a=", "1", "}" },
	{ "a = ", "[{a=", "1", "}]" },
};

static void nest(struct text *text, int i, size_t depth)
{
	text_puts(text, nests[i].before);
	repeat(text, nests[i].open, depth);
	text_puts(text, nests[i].middle);
	repeat(text, nests[i].close, strlen(nests[i].before) == 1 ? 1 : depth);
}

START_TEST(depth)
{
	struct text text = { 0 };

	if (*nests[_i].before != '[') {
		nest(&text, _i, 20);
		ck_assert(parses(&text));
	} else {
		text_puts(&text, nests[_i].before);
		repeat(&text, nests[_i].open, 100);
		text_puts(&text, nests[_i].middle);
		text_puts(&text, nests[_i].close);
		ck_assert(parses(&text));
	}
	text_puts(&text, nests[_i].before);
	repeat(&text, nests[_i].open,
		(TOML_TEXT_MAX - 20) / (strlen(nests[_i].open) + strlen(nests[_i].close)));
	text_puts(&text, nests[_i].middle);
	ck_assert(!parses(&text));
}
END_TEST

/* What only looks like nesting is not counted. */
START_TEST(flat)
{
	struct text text = { 0 };

	text_puts(&text, "a = [");
	repeat(&text, "1.5, [2.5], \n", 1000);
	text_puts(&text, "]\nb = '");
	repeat(&text, "[{.", 1000);
	text_puts(&text, "'\n# ");
	repeat(&text, "[{.", 1000);
	text_puts(&text, "\nc = '''\n");
	repeat(&text, "[{.\n\"", 1000);
	text_puts(&text, "'''\nd = \"\"\"");
	repeat(&text, "[{.\n'", 1000);
	text_puts(&text, "\"\"\"\"\"\n");
	ck_assert(parses(&text));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toml");
	TCase *tests = tcase_create("toml");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, dump, 0, sizeof(dumps) / sizeof(dumps[0]));
	tcase_add_loop_test(tests, refuse, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(tests, places);
	tcase_add_test(tests, size);
	tcase_add_loop_test(tests, depth, 0, sizeof(nests) / sizeof(nests[0]));
	tcase_add_test(tests, flat);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
