#include <check.h>
#include <stdlib.h>

#include "view.h"

static struct view view;

static void setup(void)
{
	view = (struct view){ 0 };
}

static void teardown(void)
{
	view_clear(&view);
}

/* Where PATH is decided, "" for nowhere. */
static const char *decides(const char *path)
{
	const struct view_item *item = view_find(&view, path);

	return item ? item->destination : "";
}

START_TEST(the_deeper_wins)
{
	view_add(&view, VIEW_WRITE, 0, "/srv/data/notes/alice", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/srv/data", NULL, NULL);
	view_add(&view, VIEW_READ, 0, "/srv", "/mnt/srv", NULL);
	ck_assert_str_eq(decides("/srv/data/notes/alice/app.db"), "/srv/data/notes/alice");
	ck_assert_str_eq(decides("/srv/data/notes/alice"), "/srv/data/notes/alice");
	ck_assert_str_eq(decides("/srv/data/notes/alice2"), "/srv/data");
	ck_assert_str_eq(decides("/srv/data/notes"), "/srv/data");
	ck_assert_str_eq(decides("/srv/database"), "/srv");
	ck_assert_str_eq(decides("/srv2"), "");
	ck_assert_str_eq(decides("/"), "");
}
END_TEST

START_TEST(each_comes_behind_what_it_lies_in)
{
	static const char *const paths[] = { "/b/c", "/b-c", "/b", "/a", "/b/c/d", "/", "/b/c-d",
		"/bb/c" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		view_add(&view, VIEW_HIDE, 0, paths[i], NULL, NULL);
	view_sort(&view);
	ck_assert_uint_eq(view.count, sizeof(paths) / sizeof(*paths));
	for (size_t i = 0; i < view.count; i++) {
		const struct view_item *deepest = view_below(&view, i);

		ck_assert(!i || deepest);
		/* Nothing later is any nearer. */
		for (size_t later = i + 1; later < view.count; later++) {
			struct view cut = { .items = &view.items[later], .count = 1 };

			ck_assert_ptr_null(view_find(&cut, view.items[i].destination));
		}
	}
	ck_assert_str_eq(view.items[0].destination, "/");
}
END_TEST

START_TEST(what_is_put_on_what)
{
	view_add(&view, VIEW_HIDE, 0, "/data/notes/alice", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/data", NULL, NULL);
	view_add(&view, VIEW_HIDE, 0, "/data-2", NULL, NULL);
	view_sort(&view);
	ck_assert_ptr_null(view_below(&view, 0));
	for (size_t i = 0; i < view.count; i++) {
		const struct view_item *below = view_below(&view, i);

		if (view.items[i].destination[5] == '/')
			ck_assert_str_eq(below->destination, "/data");
		else
			ck_assert_ptr_null(below);
	}
}
END_TEST

START_TEST(of_two_for_one_place_the_latter)
{
	view_add(&view, VIEW_HIDE, 0, "/home", NULL, NULL);
	view_add(&view, VIEW_WRITE, 0, "/home/", "/mnt/./home//", "read_write_paths");
	ck_assert_uint_eq(view.count, 1);
	ck_assert_int_eq(view.items[0].kind, VIEW_WRITE);
	ck_assert_str_eq(view.items[0].destination, "/home");
	ck_assert_str_eq(view.items[0].source, "/mnt/home");
	ck_assert_str_eq(view.items[0].said_by, "read_write_paths");
}
END_TEST

START_TEST(uncovered_is_what_was_hidden)
{
	view_add(&view, VIEW_HIDE, 0, "/home", NULL, NULL);
	view_add(&view, VIEW_TMP, 0, "/tmp", NULL, NULL);
	view_add(&view, VIEW_HIDE, VIEW_FIRM, "/etc/tenement/conf.d", NULL, NULL);
	view_add(&view, VIEW_WRITE, 0, "/home/data/alice", NULL, NULL);
	view_uncover(&view, "/srv/app", 0, NULL);             /* is to be seen anyway */
	view_uncover(&view, "/home/data/alice/www", 0, NULL); /* likewise */
	view_uncover(&view, "/etc/tenement/conf.d", 0, NULL); /* never */
	view_uncover(&view, "/tmp", 0, NULL);                 /* likewise */
	ck_assert_uint_eq(view.count, 4);
	view_uncover(&view, "/home/me/app", 0, "workdir");
	view_uncover(&view, "/tmp/app", 0, NULL);
	view_uncover(&view, "/etc/tenement/conf.d/app", 0, NULL);
	ck_assert_uint_eq(view.count, 7);
	ck_assert_int_eq(view_find(&view, "/home/me/app/x")->kind, VIEW_READ);
	ck_assert_int_eq(view_find(&view, "/home/me")->kind, VIEW_HIDE);
	ck_assert_int_eq(view_find(&view, "/tmp/app")->kind, VIEW_READ);
	ck_assert_int_eq(view_find(&view, "/etc/tenement/conf.d/a.toml")->kind, VIEW_HIDE);
}
END_TEST

static const struct {
	const char *path;
	bool plain;
} paths[] = {
	{ "/", true },
	{ "/srv/app", true },
	{ "/srv/app/", true },
	{ "/srv//app", true },
	{ "/srv/..app/.b/...", true },
	{ "srv", false },
	{ "", false },
	{ "./srv", false },
	{ "/srv/..", false },
	{ "/../etc", false },
	{ "/srv/./app", false },
	{ "/srv/../etc", false },
};

START_TEST(plain_paths)
{
	ck_assert_msg(view_path_is_plain(paths[_i].path) == paths[_i].plain, "%s", paths[_i].path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tcase = tcase_create("view");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_deeper_wins);
	tcase_add_test(tcase, each_comes_behind_what_it_lies_in);
	tcase_add_test(tcase, what_is_put_on_what);
	tcase_add_test(tcase, of_two_for_one_place_the_latter);
	tcase_add_test(tcase, uncovered_is_what_was_hidden);
	tcase_add_loop_test(tcase, plain_paths, 0, sizeof(paths) / sizeof(*paths));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
