/* Who keeps which target: cookies are read strictly, shares come out right, and no more visitors
 * move than have to. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "sticky.h"

#define VISITORS 20000

static const char *const names[] = { "notes:v1", "notes:v2", "notes:v3", "notes:v4" };

static bool all_usable(const void *data, struct route_target target)
{
	(void)data;
	(void)target;
	return true;
}

static bool not_that_one(const void *data, struct route_target target)
{
	return target.slot != *(const uint32_t *)data;
}

static bool none_usable(const void *data, struct route_target target)
{
	(void)data;
	(void)target;
	return false;
}

/* Those of COUNT targets that have a weight, as the writer of the table would leave them. */
static uint32_t make(struct route_weighted_target *targets, const uint32_t *weights, uint32_t count)
{
	uint32_t made = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!weights[i])
			continue;
		targets[made++] = (struct route_weighted_target){
			.target = { i, 1 },
			.weight = weights[i],
			.tag = sticky_tag(names[i]),
		};
	}
	return made;
}

static uint64_t visitor(uint32_t number)
{
	char address[32];
	int len = snprintf(address, sizeof(address), "10.%u.%u.%u", number >> 16 & 255,
		number >> 8 & 255, number & 255);

	return sticky_visitor(address, (size_t)len);
}

/* The slot that each visitor has. */
static void pick_all(const uint32_t *weights, uint32_t count, uint32_t *slots)
{
	struct route_weighted_target targets[4];
	uint32_t made = make(targets, weights, count);

	for (uint32_t i = 0; i < VISITORS; i++)
		slots[i] = targets[sticky_pick(targets, made, visitor(i), all_usable, NULL)]
				   .target.slot;
}

static uint32_t had(const uint32_t *slots, uint32_t slot)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < VISITORS; i++)
		count += slots[i] == slot;
	return count;
}

static uint32_t moved(const uint32_t *before, const uint32_t *after, uint32_t from, uint32_t to)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < VISITORS; i++)
		count += before[i] == from && after[i] == to;
	return count;
}

/* Within 4 standard deviations of SHARE per cent, and that only just. */
static void check_share(uint32_t count, double share)
{
	double wanted = VISITORS * share / 100;
	double slack = 4 * 0.5 * 141.4; /* sqrt(20000) = 141.4; sqrt(p(1-p)) is at most 0.5 */

	ck_assert_msg(count > wanted - slack && count < wanted + slack, "%u instead of %.0f", count,
		wanted);
}

static uint32_t before[VISITORS], after[VISITORS];

START_TEST(test_shares_follow_the_weights)
{
	static const uint32_t weights[] = { 60, 25, 10, 5 };

	pick_all(weights, 4, before);
	for (uint32_t i = 0; i < 4; i++)
		check_share(had(before, i), weights[i]);
}
END_TEST

START_TEST(test_a_scale_of_all_weights_moves_nobody)
{
	pick_all((uint32_t[]){ 95, 5 }, 2, before);
	pick_all((uint32_t[]){ 1900, 100 }, 2, after);
	ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

START_TEST(test_a_raised_weight_only_draws_to_itself)
{
	pick_all((uint32_t[]){ 90, 10 }, 2, before);
	pick_all((uint32_t[]){ 50, 50 }, 2, after);
	ck_assert_uint_eq(moved(before, after, 1, 0), 0);
	check_share(moved(before, after, 0, 1), 40);
}
END_TEST

START_TEST(test_a_removed_target_leaves_the_others_alone)
{
	pick_all((uint32_t[]){ 1, 1, 1, 1 }, 4, before);
	pick_all((uint32_t[]){ 1, 1, 0, 1 }, 4, after);
	for (uint32_t i = 0; i < VISITORS; i++)
		ck_assert(before[i] == 2 ? after[i] != 2 : after[i] == before[i]);
	/* And its visitors are shared out evenly. */
	check_share(moved(before, after, 2, 0), 25.0 / 3);
}
END_TEST

START_TEST(test_a_target_that_is_down_is_passed_over)
{
	struct route_weighted_target targets[4];
	uint32_t made = make(targets, (uint32_t[]){ 1, 1, 1 }, 3);

	for (uint32_t down = 0; down < 3; down++) {
		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t own = sticky_pick(targets, made, visitor(i), all_usable, NULL);
			uint32_t got = sticky_pick(targets, made, visitor(i), not_that_one, &down);

			ck_assert(own == down ? got != down : got == own);
			ck_assert_uint_eq(
				sticky_pick(targets, made, visitor(i), none_usable, NULL), own);
		}
	}
}
END_TEST

static const struct {
	const char *one, *other;
	bool same;
} addresses[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
	{ "2001:db8::1", "[2001:db8::1]", true },
	{ "2001:db8::1", "2001:db8::ffff:2", true },
	{ "2001:db8::1", "2001:db8:0:1::1", false },
	{ "unknown", "unknown", true },
	{ "unknown", "_hidden", false },
	{ "", "", true },
	{ "[]", "::", false },
};

START_TEST(test_who_is_the_same_visitor)
{
	const char *one = addresses[_i].one, *other = addresses[_i].other;
	uint64_t first = sticky_visitor(one, strlen(one));

	ck_assert(first != 0);
	ck_assert_msg((first == sticky_visitor(other, strlen(other))) == addresses[_i].same,
		"%s and %s", one, other);
}
END_TEST

START_TEST(test_a_long_address_is_only_hashed)
{
	char address[5000];

	memset(address, '1', sizeof(address));
	ck_assert(sticky_visitor(address, sizeof(address)) !=
		  sticky_visitor(address, sizeof(address) - 1));
}
END_TEST

/* The value of Cookie, and the tags that are found in it. */
static const struct {
	const char *value;
	uint64_t tags[4];
} cookies[] = {
	{ "tenement_route_notes=00000000000000ff", { 0xff } },
	{ "a=b; tenement_route_notes=0123456789abcdef; c=d", { 0x0123456789abcdef } },
	{ "a=b;tenement_route_notes=0123456789abcdef", { 0x0123456789abcdef } },
	{ "tenement_route_notes=0000000000000001; tenement_route_notes=0000000000000002",
		{ 1, 2 } },
	{ "tenement_route_notes=zz; tenement_route_notes=0000000000000002;", { 2 } },
	{ " \ttenement_route_notes=0000000000000001 \t;", { 1 } },
	{ "", { 0 } },
	{ ";;;", { 0 } },
	{ "tenement_route_notes", { 0 } },
	{ "tenement_route_notes=", { 0 } },
	{ "tenement_route_notes=0000000000000000", { 0 } },
	{ "tenement_route_notes=0123456789ABCDEF", { 0 } },
	{ "tenement_route_notes=0123456789abcde", { 0 } },
	{ "tenement_route_notes=0123456789abcdef0", { 0 } },
	{ "tenement_route_notes=\"0123456789abcdef\"", { 0 } },
	{ "tenement_route_notes =0123456789abcdef", { 0 } },
	{ "tenement_route_notes= 123456789abcdef", { 0 } },
	{ "tenement_route_notes=-123456789abcdef", { 0 } },
	{ "tenement_route_notes=0x23456789abcdef", { 0 } },
	{ "Tenement_route_notes=0123456789abcdef", { 0 } },
	{ "xtenement_route_notes=0123456789abcdef", { 0 } },
	{ "tenement_route_note=0123456789abcdef", { 0 } },
	{ "tenement_route_notes2=0123456789abcdef", { 0 } },
	{ "a=\"; tenement_route_notes=0000000000000003; b=\"", { 3 } },
	{ "tenement_route_notes=0000000000000001, tenement_route_notes=0000000000000002", { 0 } },
};

START_TEST(test_cookies)
{
	const char *value = cookies[_i].value;
	size_t at = 0;

	for (int i = 0; i < 4; i++)
		ck_assert_msg(sticky_cookie_next(value, strlen(value), "notes", &at) ==
				      cookies[_i].tags[i],
			"tag %d of %s", i, value);
}
END_TEST

START_TEST(test_what_is_set_is_read_again)
{
	char out[STICKY_SET_COOKIE_SIZE], service[64];
	uint64_t tag = sticky_tag("notes:v1");
	size_t len, at = 0;

	len = sticky_set_cookie(out, sizeof(out), "notes", tag);
	ck_assert_str_eq(strchr(out, ';'), "; Path=/; HttpOnly; SameSite=Lax");
	ck_assert(sticky_cookie_next(out, len, "notes", &at) == tag);
	/* The longest service there can be. */
	memset(service, 's', 63);
	service[63] = '\0';
	len = sticky_set_cookie(out, sizeof(out), service, tag);
	ck_assert_uint_eq(len, strlen(out));
	ck_assert_uint_eq(sticky_set_cookie(out, 20, "notes", tag), 0);
}
END_TEST

START_TEST(test_tags)
{
	struct route_weighted_target targets[4];
	uint32_t made = make(targets, (uint32_t[]){ 1, 0, 1, 1 }, 4);

	ck_assert_uint_eq(sticky_find(targets, made, sticky_tag("notes:v3")), 1);
	ck_assert_uint_eq(sticky_find(targets, made, sticky_tag("notes:v2")), made);
	ck_assert(sticky_tag("notes:v1") != sticky_tag("todos:v1"));
	/* What has been given out must be understood after any upgrade. */
	ck_assert_uint_eq(sticky_tag("notes:v1"), 0x6fb75da440a6d0b3u);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sticky");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_shares_follow_the_weights);
	tcase_add_test(tcase, test_a_scale_of_all_weights_moves_nobody);
	tcase_add_test(tcase, test_a_raised_weight_only_draws_to_itself);
	tcase_add_test(tcase, test_a_removed_target_leaves_the_others_alone);
	tcase_add_test(tcase, test_a_target_that_is_down_is_passed_over);
	tcase_add_loop_test(
		tcase, test_who_is_the_same_visitor, 0, sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_test(tcase, test_a_long_address_is_only_hashed);
	tcase_add_loop_test(tcase, test_cookies, 0, sizeof(cookies) / sizeof(cookies[0]));
	tcase_add_test(tcase, test_what_is_set_is_read_again);
	tcase_add_test(tcase, test_tags);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
