#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config_address.h"
#include "config_file.h"
#include "config_path.h"
#include "mem.h"
#include "sticky.h"
#include "text.h"

static struct config_file *parse(const char *name, const char *text)
{
	bool main = strcmp(name, CONFIG_MAIN) == 0;
	autofree char *display =
		main ? mem_strdup("/srv/tenement.toml") : mem_printf("conf.d/%s", name);

	return config_file_parse(name, display, main ? "/srv" : "/srv/conf.d", text, strlen(text));
}

/* All problems of a file as people read them. */
static char *problems_of(const struct config_file *file)
{
	struct text out = { 0 };

	for (size_t i = 0; i < file->problems.count; i++) {
		autofree char *text = config_problem_text(&file->problems.items[i]);
		text_puts(&out, text);
	}
	return text_steal(&out);
}

START_TEST(declares)
{
	struct config_file *file = parse("notes-alice.toml",
		"[service.notes]\ncommand = 'run'\nworkdir = 'app'\nsuspended_page = '../s.html'\n"
		"[tenant]\nservice = 'notes'\ndomains = ['Notes.Alice.ORG']\n"
		"[tenant.env]\nPLAN = 'pro'\n"
		"[route.notes]\nsplit = { v2 = 5, v1 = 95 }\nsticky = 'ip'\n");
	autofree char *problems = problems_of(file);
	const struct config_value *value;

	ck_assert_str_eq(problems, "");
	ck_assert_uint_eq(file->service_count, 1);
	ck_assert_str_eq(file->services[0].name, "notes");
	value = config_layer_find(&file->services[0].layer, "workdir");
	ck_assert_str_eq(value->value.string, "/srv/conf.d/app");
	value = config_layer_find(&file->services[0].layer, "suspended_page");
	ck_assert_str_eq(value->value.string, "/srv/conf.d/../s.html");
	ck_assert_uint_eq(file->tenant_count, 1);
	ck_assert_str_eq(file->tenants[0].key, "notes:alice");
	ck_assert_int_eq(file->tenants[0].at.line, 5);
	value = config_layer_find(&file->tenants[0].layer, "domains");
	ck_assert_str_eq(value->value.list[0], "notes.alice.org");
	ck_assert_int_eq(value->item_at[0].line, 7);
	ck_assert_int_eq(value->item_at[0].column, 12);
	ck_assert_uint_eq(file->route_count, 1);
	ck_assert_uint_eq(file->routes[0].route.count, 2);
	ck_assert_str_eq(file->routes[0].route.split[0].id, "v1");
	ck_assert_uint_eq(file->routes[0].route.split[0].weight, 95);
	ck_assert_uint_eq(file->routes[0].route.split[1].weight, 5);
	ck_assert_int_eq(file->routes[0].route.sticky, STICKY_IP);
	config_file_free(file);
}
END_TEST

START_TEST(declares_main)
{
	struct config_file *file = parse(CONFIG_MAIN,
		"[settings]\nworkers = 2\n[[settings.listener]]\naddress = '[::]:80'\n"
		"[instances]\napi = ['prod', 'staging']\n"
		"[routing]\ndefault = 'api'\nsubdomain = { admin = 'back' }\n"
		"[routing.path]\n'/a' = 'api'\n'/a/long' = 'back'\n");
	autofree char *problems = problems_of(file);

	ck_assert_str_eq(problems, "");
	ck_assert_uint_eq(file->tenant_count, 2);
	ck_assert_str_eq(file->tenants[1].key, "api:staging");
	ck_assert_int_eq(
		config_layer_find(&file->tenants[0].layer, "state")->value.choice, TENANT_RUNNING);
	ck_assert_str_eq(file->routing.default_service, "api");
	ck_assert_str_eq(option_map_get(&file->routing.subdomains, "admin"), "back");
	ck_assert_str_eq(file->routing.paths.pairs[0].name, "/a/long");
	ck_assert_uint_eq(file->reference_count, 4);
	ck_assert_uint_eq(file->listener_count, 1);
	config_file_free(file);
}
END_TEST

static const struct {
	const char *name;
	const char *key; /* of the tenant; NULL: the file's name makes none */
} ids[] = {
	{ "notes-alice.toml", "notes:alice" },
	{ "alice.toml", "notes:alice" },
	{ "notes.toml", "notes:notes" },
	{ "notes-notes-x.toml", "notes:notes-x" },
	{ "notesalice.toml", "notes:notesalice" },
	{ "Alice.toml", NULL },
	{ "notes-.toml", NULL },
	{ "a.b.toml", NULL },
	{ CONFIG_MAIN, NULL },
};

START_TEST(default_id)
{
	struct config_file *file = parse(ids[_i].name, "[tenant]\nservice = 'notes'\n");

	ck_assert_uint_eq(file->problems.count, ids[_i].key ? 0 : 1);
	ck_assert_uint_eq(file->tenant_count, ids[_i].key ? 1 : 0);
	if (ids[_i].key)
		ck_assert_str_eq(file->tenants[0].key, ids[_i].key);
	config_file_free(file);
}
END_TEST

/* What is said, in full, of texts with something wrong. */
static const struct {
	const char *name;
	const char *text;
	const char *problems;
} wrong[] = {
	{ "alice.toml", "", "conf.d/alice.toml: it is empty\n" },
	{ "alice.toml", "# nothing\n", "conf.d/alice.toml: it declares nothing\n" },
	{ CONFIG_MAIN, "", "/srv/tenement.toml: it is empty\n" },
	{ CONFIG_MAIN, "# all defaults\n", "" },
	{ "alice.toml", "[tenant]\nservice = 'notes'\n\n\n\n\nmemmory_limit_mb = 5\n",
		"conf.d/alice.toml:7:1: unknown key \"memmory_limit_mb\" (did you mean "
		"\"memory_limit_mb\"?)\n"
		"  7 | memmory_limit_mb = 5\n"
		"    | ^\n" },
	/* All at once (a set has them in the order of the file), with the tab kept above the caret.
	 */
	{ "alice.toml",
		"[tenant]\nservice = 'notes'\ndomians = []\n\tidle_timeout = '5m'\n[tenant.env]\n"
		"1A = 'x'\nPORT = 80\nB = []\nC = '{dri}'\n",
		"conf.d/alice.toml:3:1: unknown key \"domians\" (did you mean \"domains\"?)\n"
		"  3 | domians = []\n"
		"    | ^\n"
		"conf.d/alice.toml:4:17: idle_timeout wants a whole number of seconds from 0 to "
		"31536000, not a string (\"5m\")\n"
		"  4 | \tidle_timeout = '5m'\n"
		"    | \t               ^\n"
		"conf.d/alice.toml:8:5: env.B wants a string, not an array\n"
		"  8 | B = []\n"
		"    |     ^\n"
		"conf.d/alice.toml:6:6: \"1A\" cannot be a variable: its name is made of letters, "
		"digits and \"_\", and begins with no digit\n"
		"  6 | 1A = '*'\n"
		"    |      ^\n"
		"conf.d/alice.toml:9:5: C: unknown placeholder {dri} (did you mean {dir}?)\n"
		"  9 | C = '{***}'\n"
		"    |     ^\n"
		"conf.d/alice.toml:7:8: PORT is set by tenement itself\n"
		"  7 | PORT = **\n"
		"    |        ^\n" },
	{ "alice.toml", "[tenant]\nservice = 'notes'\nenv = { DATA_DIR = '{data_dir}/{id}' }\n",
		"" },
	{ "a.toml", "[servce.x]\n",
		"conf.d/a.toml:1:2: unknown table \"servce\" (did you mean \"service\"?)\n"
		"  1 | [servce.x]\n"
		"    |  ^\n" },
	{ "a.toml", "service = 'notes'\n",
		"conf.d/a.toml:1:11: service wants a table, not a string\n"
		"  1 | service = 'notes'\n"
		"    |           ^\n" },
	{ "a.toml", "id = 'a'\n",
		"conf.d/a.toml:1:1: \"id\" stands in no table: write [tenant] above it\n"
		"  1 | id = 'a'\n"
		"    | ^\n" },
	{ "a.toml", "[settings]\nworkers = 1\n",
		"conf.d/a.toml:1:2: [settings] may stand in tenement.toml only\n"
		"  1 | [settings]\n"
		"    |  ^\n" },
	{ "a.toml", "[service.x]\n",
		"conf.d/a.toml:1:10: service \"x\" has no command: the one key without a default\n"
		"  1 | [service.x]\n"
		"    |          ^\n" },
	{ "a.toml", "[service.x]\ncommand = \"run 'it\"\n",
		"conf.d/a.toml:2:11: command: the ' at character 5 is never closed\n"
		"  2 | command = \"run 'it\"\n"
		"    |           ^\n" },
	{ "a.toml", "[service.x]\ncommand = 'run'\nargs = ['ok', '{id', '{nme}']\n",
		"conf.d/a.toml:3:15: args: a \"{\" without its \"}\": write \"{{\" where a brace "
		"is "
		"meant\n"
		"  3 | args = ['ok', '{id', '{nme}']\n"
		"    |               ^\n"
		"conf.d/a.toml:3:22: args: unknown placeholder {nme} (did you mean {name}?)\n"
		"  3 | args = ['ok', '{id', '{nme}']\n"
		"    |                      ^\n" },
	{ "a.toml",
		"[service.x]\ncommand = 'run'\nidle_timeout = 5\nsleep = [{ after = 5, to = "
		"'frozen' }]\n",
		"conf.d/a.toml:4:9: sleep and idle_timeout say the same thing twice: keep one of "
		"them (idle_timeout = 900 is sleep = [{ after = 900, to = \"stopped\" }])\n"
		"  4 | sleep = [{ after = 5, to = 'frozen' }]\n"
		"    |         ^\n" },
	{ "a.toml", "[tenant]\nservice = 'x'\nsleep = []\nidle_timeout = 5\n",
		"conf.d/a.toml:3:9: sleep and idle_timeout say the same thing twice: keep one of "
		"them (idle_timeout = 900 is sleep = [{ after = 900, to = \"stopped\" }])\n"
		"  3 | sleep = []\n"
		"    |         ^\n" },
	{ "a.toml",
		"[tenant]\nservice = 'x'\nawake = 'Mon-Fry 08:00-18:00'\nwake_at = ['daily 03:00', "
		"'daily 24:00', 'daily 3:00 Europe/Berln', 'hourly :00 Europe/Berln']\n",
		"conf.d/a.toml:3:9: awake: \"Mon-Fry 08:00-18:00\": \"Mon-Fry\" are no days (Mon "
		"Tue "
		"Wed Thu Fri Sat Sun, daily): wanted are days, hours and perhaps a zone, as in "
		"\"Mon-Fri 08:00-18:00 Europe/Berlin\" or \"daily 22:00-06:00\"\n"
		"  3 | awake = 'Mon-Fry 08:00-18:00'\n"
		"    |         ^\n"
		"conf.d/a.toml:4:27: wake_at: \"daily 24:00\": \"24:00\" is no time of day "
		"(HH:MM): "
		"wanted are days, a time and perhaps a zone, as in \"daily 03:00\", \"Mon,Thu "
		"04:30 "
		"Europe/Berlin\" or \"hourly :15\"\n"
		"  4 | wake_at = ['daily 03:00', 'daily 24:00', 'daily 3:00 Europe/Berln', 'hourly "
		":00 Europe/Berln']\n"
		"    |                           ^\n"
		"conf.d/a.toml:4:42: wake_at: \"daily 3:00 Europe/Berln\": \"3:00\" is no time of "
		"day (HH:MM): wanted are days, a time and perhaps a zone, as in \"daily 03:00\", "
		"\"Mon,Thu 04:30 Europe/Berlin\" or \"hourly :15\"\n"
		"  4 | wake_at = ['daily 03:00', 'daily 24:00', 'daily 3:00 Europe/Berln', 'hourly "
		":00 Europe/Berln']\n"
		"    |                                          ^\n"
		"conf.d/a.toml:4:69: wake_at: there is no time zone \"Europe/Berln\" in this "
		"machine's database (package tzdata)\n"
		"  4 | wake_at = ['daily 03:00', 'daily 24:00', 'daily 3:00 Europe/Berln', 'hourly "
		":00 Europe/Berln']\n"
		"    |                                                                     ^\n" },
	{ "a.toml", "[service.X]\ncommand = 'run'\n",
		"conf.d/a.toml:1:10: service \"X\": a name is made of a-z, 0-9, \"-\" and \"_\" "
		"(no "
		"capitals)\n"
		"  1 | [service.X]\n"
		"    |          ^\n" },
	{ "a.toml", "[service.x]\ncommand = 'run'\ndomains = []\n",
		"conf.d/a.toml:3:1: \"domains\" belongs in [tenant], not in [service.NAME]\n"
		"  3 | domains = []\n"
		"    | ^\n" },
	{ "a.toml", "[[tenant]]\nservice = 'x'\n[[tenant]]\nservice = 'x'\nid = 'b'\n",
		"conf.d/a.toml:1:1: this tenant needs an id: the file's name gives one only to a "
		"[tenant] that is alone in a file of conf.d\n"
		"  1 | [[tenant]]\n"
		"    | ^\n" },
	{ "a.toml", "[route.x]\nsplit = { a = 0 }\n",
		"conf.d/a.toml:2:9: split sends traffic to nobody: at least one weight is above 0\n"
		"  2 | split = { a = 0 }\n"
		"    |         ^\n" },
	{ "a.toml", "[route.x]\nsplit = { a = 10001, B = 1 }\nsplt = 1\n",
		"conf.d/a.toml:2:15: split.a wants a weight, a whole number from 0 to 10000, not "
		"10001\n"
		"  2 | split = { a = 10001, B = 1 }\n"
		"    |               ^\n"
		"conf.d/a.toml:2:22: id \"B\": a name is made of a-z, 0-9, \"-\" and \"_\" (no "
		"capitals)\n"
		"  2 | split = { a = 10001, B = 1 }\n"
		"    |                      ^\n"
		"conf.d/a.toml:3:1: unknown key \"splt\" (did you mean \"split\"?)\n"
		"  3 | splt = 1\n"
		"    | ^\n" },
	{ "a.toml", "[route.x]\nsplit = { a = 1 }\nsticky = 'session'\n",
		"conf.d/a.toml:3:10: sticky wants \"none\", \"cookie\" or \"ip\", not "
		"\"session\"\n"
		"  3 | sticky = 'session'\n"
		"    |          ^\n" },
	{ "a.toml", "[route.x]\nsplit = { a = 1 }\nsticky = true\ntarget = 1\n",
		"conf.d/a.toml:3:10: sticky wants \"none\", \"cookie\" or \"ip\"\n"
		"  3 | sticky = true\n"
		"    |          ^\n"
		"conf.d/a.toml:4:1: unknown key \"target\" in a route: there are split and sticky\n"
		"  4 | target = 1\n"
		"    | ^\n" },
	{ CONFIG_MAIN, "[settings]\ndata_dir = '~/data'\n",
		"/srv/tenement.toml:2:12: data_dir: a leading \"~\" is not expanded: write the "
		"folder "
		"itself\n"
		"  2 | data_dir = '~/data'\n"
		"    |            ^\n" },
	{ CONFIG_MAIN,
		"[settings]\nlisten = [':8080']\nuid_range = '5'\ntrusted_proxies = "
		"['10.0.0.1/8']\n",
		"/srv/tenement.toml:2:11: listen: \":8080\" has no address: write "
		"\"127.0.0.1:8080\" "
		"for this machine alone, or \"0.0.0.0:8080\" or \"[::]:8080\" for everyone\n"
		"  2 | listen = [':8080']\n"
		"    |           ^\n"
		"/srv/tenement.toml:3:13: uid_range: \"5\" is no range: write it as \"FROM-TO\", "
		"two "
		"numbers from 1 to 4294967294\n"
		"  3 | uid_range = '5'\n"
		"    |             ^\n"
		"/srv/tenement.toml:4:20: trusted_proxies: \"10.0.0.1/8\" has bits set behind its "
		"prefix of 8\n"
		"  4 | trusted_proxies = ['10.0.0.1/8']\n"
		"    |                    ^\n" },
	{ CONFIG_MAIN,
		"[routing.path]\n'/health' = 'a'\n'/api' = 'a'\n'/api/status/x' = 'a'\n'x' = 'a'\n",
		"/srv/tenement.toml:2:1: \"/health\" collides with a path of tenement's own "
		"(/health)\n"
		"  2 | '/health' = 'a'\n"
		"    | ^\n"
		"/srv/tenement.toml:4:1: \"/api/status/x\" collides with a path of tenement's own "
		"(/api/status)\n"
		"  4 | '/api/status/x' = 'a'\n"
		"    | ^\n"
		"/srv/tenement.toml:5:1: \"x\" is no path: it begins with \"/\", and \"/\" alone "
		"is "
		"`default`\n"
		"  5 | 'x' = 'a'\n"
		"    | ^\n" },
	{ CONFIG_MAIN, "[settings]\nlisten = []\n[[settings.listener]]\naddress = '1.2.3.4:5'\n",
		"/srv/tenement.toml:3:12: either listen or [[settings.listener]]: not both\n"
		"  3 | [[settings.listener]]\n"
		"    |            ^\n" },
	{ "a.toml", "[tenant]\nservice = \"a\\u0000b\"\n",
		"conf.d/a.toml:2:11: it holds a NUL character\n"
		"  2 | service = \"a\\u0000b\"\n"
		"    |           ^\n" },
};

START_TEST(says_what_is_wrong)
{
	struct config_file *file = parse(wrong[_i].name, wrong[_i].text);
	autofree char *problems = problems_of(file);

	ck_assert_str_eq(problems, wrong[_i].problems);
	config_file_free(file);
}
END_TEST

/* A line too long for a terminal is shown around the place. */
START_TEST(long_line)
{
	struct text text = { 0 };
	struct config_file *file;
	autofree char *problem = NULL;
	const char *caret, *second;

	text_puts(&text, "[tenant]\nservice = 'notes'\nenv = { A = '");
	for (int i = 0; i < 1000; i++)
		text_puts(&text, "x");
	text_puts(&text, "', PORT = 1, B = '");
	for (int i = 0; i < 1000; i++)
		text_puts(&text, "y");
	text_puts(&text, "' }\n");
	file = parse("a.toml", text.data);
	ck_assert_uint_eq(file->problems.count, 1);
	problem = config_problem_text(&file->problems.items[0]);
	ck_assert_uint_lt(strlen(problem), 400);
	second = strchr(problem, '\n') + 1;
	caret = strchr(strchr(second, '\n') + 1, '^');
	/* It stands below the value of PORT. */
	ck_assert_int_eq(second[caret - (strchr(second, '\n') + 1)], '*');
	config_file_free(file);
	text_free(&text);
}
END_TEST

/* Thousands of mistakes are a bounded list, and terminals are safe from what is quoted. */
START_TEST(bounded)
{
	struct text text = { 0 };
	struct config_file *file;

	text_puts(&text, "[tenant]\nservice = 'notes'\n\"\\u001b[31m\\u009bx\" = 1\n");
	for (int i = 0; i < 1000; i++)
		text_printf(&text, "key%d = 1\n", i);
	file = parse("a.toml", text.data);
	ck_assert_uint_eq(file->problems.count, CONFIG_PROBLEMS_MAX + 1);
	ck_assert_str_eq(file->problems.items[CONFIG_PROBLEMS_MAX].message, "and 901 more");
	ck_assert_uint_eq(file->problems.left_out, 1001 - CONFIG_PROBLEMS_MAX);
	ck_assert_str_eq(file->problems.items[0].message, "unknown key \"?[31m??x\" in [tenant]");
	config_file_free(file);
	text_free(&text);
}
END_TEST

static const struct {
	const char *text;
	int family; /* -1: refused */
	uint16_t port;
} addresses[] = {
	{ "127.0.0.1:8080", CONFIG_IPV4, 8080 },
	{ "0.0.0.0:0", CONFIG_IPV4, 0 },
	{ "[::]:80", CONFIG_IPV6, 80 },
	{ "[2001:db8::1]:65535", CONFIG_IPV6, 65535 },
	{ "unix:/run/x.sock", CONFIG_UNIX, 0 },
	{ "unix:x.sock", -1, 0 },
	{ "127.0.0.1", -1, 0 },
	{ "127.0.0.1:65536", -1, 0 },
	{ "127.0.0.1:", -1, 0 },
	{ "127.0.0.1:-1", -1, 0 },
	{ "127.0.0.1:80x", -1, 0 },
	{ "localhost:80", -1, 0 },
	{ "::1:80", -1, 0 },
	{ "[127.0.0.1]:80", -1, 0 },
	{ ":8080", -1, 0 },
	{ "", -1, 0 },
	{ "unix:/"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaa"
	  "aaaaaaaaaaaaaaaaa",
		-1, 0 },
};

START_TEST(address)
{
	struct config_address parsed;
	struct ten_error err;
	int result = config_address_parse(addresses[_i].text, &parsed, &err);

	ck_assert_int_eq(result, addresses[_i].family < 0 ? -1 : 0);
	if (result < 0)
		return;
	ck_assert_int_eq((int)parsed.family, addresses[_i].family);
	ck_assert_uint_eq(parsed.port, addresses[_i].port);
}
END_TEST

START_TEST(network)
{
	static const uint8_t inside[16] = { 10, 1, 2, 3 }, outside[16] = { 11 };
	static const char *const refused[] = { "", "10", "10.0.0.0/33", "10.0.0.0/", "fd00::/129",
		"10.0.0.1/8", "x/8", "10.0.0.0/-1" };
	struct config_network all, net;
	struct ten_error err;

	ck_assert_int_eq(config_network_parse("10.0.0.0/8", &net, &err), 0);
	ck_assert(config_network_holds(&net, CONFIG_IPV4, inside));
	ck_assert(!config_network_holds(&net, CONFIG_IPV4, outside));
	ck_assert(!config_network_holds(&net, CONFIG_IPV6, inside));
	ck_assert_int_eq(config_network_parse("0.0.0.0/0", &all, &err), 0);
	ck_assert(config_network_holds(&all, CONFIG_IPV4, outside));
	ck_assert_int_eq(config_network_parse("10.1.2.3", &net, &err), 0);
	ck_assert_int_eq(net.prefix, 32);
	ck_assert(config_network_holds(&net, CONFIG_IPV4, inside));
	ck_assert_int_eq(config_network_parse("fd00::/9", &net, &err), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ck_assert_int_eq(config_network_parse(refused[i], &net, &err), -1);
}
END_TEST

START_TEST(range)
{
	static const char *const refused[] = { "", "-", "1-", "-2", "5-4", "0-4", "1-70000",
		"1 - 2", "1-99999999999" };
	uint32_t from, to;
	struct ten_error err;

	ck_assert_int_eq(config_range_parse("20000-29999", 1, 65535, &from, &to, &err), 0);
	ck_assert_uint_eq(from, 20000);
	ck_assert_uint_eq(to, 29999);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ck_assert_int_eq(config_range_parse(refused[i], 1, 65535, &from, &to, &err), -1);
}
END_TEST

static const struct {
	const char *folder, *path;
	const char *joined, *normal;
} paths[] = {
	{ "/srv", "data", "/srv/data", "/srv/data" },
	{ "/srv", "./a//b/.", "/srv/a/b", "/srv/a/b" },
	{ "/srv", "../x", "/srv/../x", "/x" },
	{ "/srv", "/abs/../y", "/abs/../y", "/y" },
	{ "/", ".", "/", "/" },
	{ "/srv", "../../../..", "/srv/../../../..", "/" },
};

START_TEST(path)
{
	autofree char *joined = config_path_join(paths[_i].folder, paths[_i].path);
	autofree char *normal = config_path_normalize(joined);

	ck_assert_str_eq(joined, paths[_i].joined);
	ck_assert_str_eq(normal, paths[_i].normal);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_file");
	TCase *tests = tcase_create("config_file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, declares);
	tcase_add_test(tests, declares_main);
	tcase_add_loop_test(tests, default_id, 0, sizeof(ids) / sizeof(ids[0]));
	tcase_add_loop_test(tests, says_what_is_wrong, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, long_line);
	tcase_add_test(tests, bounded);
	tcase_add_loop_test(tests, address, 0, sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_test(tests, network);
	tcase_add_test(tests, range);
	tcase_add_loop_test(tests, path, 0, sizeof(paths) / sizeof(paths[0]));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
