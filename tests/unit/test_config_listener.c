#include <check.h>
#include <string.h>

#include "config_address.h"
#include "config_file.h"
#include "mem.h"
#include "text.h"

static struct config_file *parse(const char *text)
{
	return config_file_parse(CONFIG_MAIN, "tenement.toml", "/srv", text, strlen(text));
}

/* LINE:COLUMN: MESSAGE, each on a line. */
static char *problems_of(const char *text)
{
	struct config_file *file = parse(text);
	struct text out = { 0 };

	text_puts(&out, "");
	for (size_t i = 0; i < file->problems.count; i++)
		text_printf(&out, "%d:%d: %s\n", file->problems.items[i].line,
			file->problems.items[i].column, file->problems.items[i].message);
	config_file_free(file);
	return text_steal(&out);
}

static const struct {
	const char *text, *problems;
} rows[] = {
	{ "[settings]\n", "" },
	{ "[settings]\nlisten = ['0.0.0.0:80', '[::]:80', '127.0.0.1:81', '[::1]:82', 'unix:/a', "
	  "'unix:/b']\n",
		"" },
	/* Port 0 is another one each time. */
	{ "[settings]\nlisten = ['127.0.0.1:0', '127.0.0.1:0', '0.0.0.0:0']\n", "" },
	{ "[settings]\n[[settings.listener]]\naddress = '[::1]:80'\nproxy_protocol = true\n"
	  "[[settings.listener]]\naddress = 'unix:/a'\nproxy_protocol = false\n",
		"" },
	{ "[settings]\nlisten = []\n",
		"2:10: listen names no address: nobody could reach a tenant\n" },
	/* twice */
	{ "[settings]\nlisten = ['127.0.0.1:80', '[::1]:80', '127.0.0.1:80']\n",
		"2:39: \"127.0.0.1:80\" is listened on twice: line 2 has it too\n" },
	{ "[settings]\nlisten = ['[::1]:80', '[0:0::1]:80']\n",
		"2:23: \"[0:0::1]:80\" is listened on twice: line 2 has it too\n" },
	{ "[settings]\nlisten = ['unix:/run/x', 'unix:/run/./y/../x']\n",
		"2:26: \"unix:/run/./y/../x\" is listened on twice: line 2 has it too\n" },
	{ "[[settings.listener]]\naddress = '127.0.0.1:80'\n[[settings.listener]]\n"
	  "proxy_protocol = true\naddress = '127.0.0.1:80'\n",
		"5:11: \"127.0.0.1:80\" is listened on twice: line 2 has it too\n" },
	/* one within the other */
	{ "[settings]\nlisten = ['0.0.0.0:80', '127.0.0.1:80', '[::1]:80', '[::]:80']\n",
		"2:25: \"127.0.0.1:80\" and \"0.0.0.0:80\" (line 2) hold each other's port: one of "
		"them has to go\n"
		"2:53: \"[::]:80\" and \"[::1]:80\" (line 2) hold each other's port: one of them "
		"has to go\n" },
	/* each by itself */
	{ "[[settings.listener]]\nproxy_protocol = true\n", "1:1: a listener needs its address\n" },
	{ "[[settings.listener]]\naddress = '1.2.3.4:5'\nproxy_protocol = 'v2'\n",
		"3:18: proxy_protocol wants true or false, not a string (\"v2\")\n" },
	{ "[[settings.listener]]\naddress = '1.2.3.4:5'\nproxy_protocl = true\n",
		"3:1: unknown key \"proxy_protocl\" (did you mean "
		"\"proxy_protocol\"?)\n" },
	{ "[[settings.listener]]\naddress = '[::ffff:10.0.0.1]:80'\n",
		"2:11: address: \"[::ffff:10.0.0.1]:80\" is an IPv4 address: write it as "
		"\"10.0.0.1:80\"\n" },
	{ "[[settings.listener]]\naddress = '[fe80::1%eth0]:80'\n",
		"2:11: address: \"[fe80::1%eth0]:80\" is no address in numbers: write it as "
		"\"127.0.0.1:8080\", \"[::]:80\" or \"unix:/path\"\n" },
	{ "[[settings.listener]]\naddress = 'unix:x.sock'\n",
		"2:11: address: the path of a unix socket is absolute: \"unix:/run/x.sock\"\n" },
	{ "[[settings.listener]]\naddress = 'unix:/run/x/'\n",
		"2:11: address: the path of a unix socket does not end with \"/\"\n" },
	{ "[settings]\nlisten = ['1.2.3.4:5']\n[[settings.listener]]\naddress = '1.2.3.4:5'\n",
		"3:12: either listen or [[settings.listener]]: not both\n" },
};

START_TEST(says_what_cannot_be_listened_on)
{
	autofree char *problems = problems_of(rows[_i].text);

	ck_assert_str_eq(problems, rows[_i].problems);
}
END_TEST

START_TEST(path_length)
{
	autotext struct text path = { 0 }, longer = { 0 };
	autofree char *none = NULL, *problems = NULL;

	text_puts(&path, "[settings]\nlisten = ['unix:/");
	for (int i = 1; i < CONFIG_SOCKET_PATH_MAX; i++)
		text_puts(&path, "x");
	text_printf(&longer, "%sx']\n", path.data);
	text_puts(&path, "']\n");
	none = problems_of(path.data);
	ck_assert_str_eq(none, "");
	problems = problems_of(longer.data);
	ck_assert_str_eq(problems, "2:11: listen: the path of a unix socket is at most 107 bytes "
				   "long, this one 108\n");
}
END_TEST

START_TEST(number)
{
	autotext struct text many = { 0 }, more = { 0 };
	autofree char *none = NULL, *problems = NULL;

	text_puts(&many, "[settings]\nlisten = [\n");
	for (int i = 1; i <= CONFIG_LISTENERS_MAX; i++)
		text_printf(&many, "'[::1]:%d',\n", i);
	text_printf(&more, "%s'unix:/x']\n", many.data);
	text_puts(&many, "]\n");
	none = problems_of(many.data);
	ck_assert_str_eq(none, "");
	problems = problems_of(more.data);
	ck_assert_str_eq(problems, "67:1: more than 64 addresses cannot be listened on\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_listener");
	TCase *tests = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(
		tests, says_what_cannot_be_listened_on, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tests, path_length);
	tcase_add_test(tests, number);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
