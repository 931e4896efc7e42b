/* Rules of the week as they are written, and when they are: all times in the tables are UTC. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calendar.h"
#include "check_often.h"

#define RULES 4

/* Rules of the two zones spelled out, so that nothing depends on the machine's database. Lord Howe
 * puts its clocks on by half an hour; Samoa left out a day. */
static const struct {
	const char *zone, *rules;
} zones[] = {
	{ "Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3" },
	{ "America/New_York", "EST5EDT,M3.2.0,M11.1.0" },
	{ "Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0" },
	{ "", "UTC0" },
};

static int64_t offset(const char *zone, int64_t at)
{
	time_t time = (time_t)at;
	struct tm parts;

	if (strcmp(zone, "Pacific/Apia") == 0)
		return at < 1325239200 ? -10 * 3600 : 14 * 3600;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (strcmp(zone, zones[i].zone) == 0)
			setenv("TZ", zones[i].rules, 1);
	tzset();
	localtime_r(&time, &parts);
	return parts.tm_gmtoff;
}

static int64_t at(const char *text)
{
	struct tm parts = { 0 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &parts);

	if (!end)
		end = strptime(text, "%Y-%m-%d %H:%M", &parts);
	ck_assert_msg(end && !*end, "%s", text);
	return timegm(&parts);
}

static const char *spelled(int64_t time)
{
	static char texts[4][32];
	static int turn;
	time_t seconds = (time_t)time;
	struct tm parts;
	char *text = texts[turn = (turn + 1) % 4];

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(texts[0]), "%Y-%m-%d %H:%M:%S", &parts);
	return text;
}

/* TEXT: rules with ";" between them. */
static size_t read_rules(const char *text,
	int (*read)(const char *, struct calendar_rule *, struct ten_error *),
	struct calendar_rule *rules)
{
	char copy[300], *rest = copy, *one;
	struct ten_error err;
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((one = strsep(&rest, ";")))
		ck_assert_msg(read(one, &rules[count++], &err) == 0, "%s: %s", one, err.text);
	return count;
}

/* ---- windows ---- */

static const struct {
	const char *rules, *time, *begin, *end;
} windows[] = {
	/* 2026-11-20 is a Friday. Berlin is an hour ahead in winter. */
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 06:59:59", "2026-11-20 07:00",
		"2026-11-20 17:00" },
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 07:00", "2026-11-20 07:00",
		"2026-11-20 17:00" },
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 16:59:59", "2026-11-20 07:00",
		"2026-11-20 17:00" },
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 17:00", "2026-11-23 07:00",
		"2026-11-23 17:00" },
	{ "Mon-Fri 08:00-18:00 America/New_York", "2026-07-04 00:00", "2026-07-06 12:00",
		"2026-07-06 22:00" },
	/* Several; those that meet or overlap are one. */
	{ "Mon-Fri 08:00-18:00;Sat 10:00-14:00", "2026-11-20 18:00", "2026-11-21 10:00",
		"2026-11-21 14:00" },
	{ "Fri 08:00-12:00;Fri 11:00-18:00", "2026-11-20 09:00", "2026-11-20 08:00",
		"2026-11-20 18:00" },
	{ "Fri 08:00-24:00;Sat 00:00-02:00", "2026-11-20 09:00", "2026-11-20 08:00",
		"2026-11-21 02:00" },
	{ "Fri 08:00-20:00;Fri 09:00-10:00", "2026-11-20 11:00", "2026-11-20 08:00",
		"2026-11-20 20:00" },
	{ "Fri 08:00-10:00 Europe/Berlin;Fri 09:00-12:00", "2026-11-20 08:00", "2026-11-20 07:00",
		"2026-11-20 12:00" },
	/* Over midnight: of the day they begin on. */
	{ "Fri 22:00-06:00", "2026-11-21 05:59:59", "2026-11-20 22:00", "2026-11-21 06:00" },
	{ "Fri 22:00-06:00", "2026-11-20 05:00", "2026-11-20 22:00", "2026-11-21 06:00" },
	{ "Sun 22:00-06:00", "2026-11-23 01:00", "2026-11-22 22:00", "2026-11-23 06:00" },
	/* Days over the end of the week. */
	{ "Fri-Mon 10:00-11:00", "2026-11-20 11:00", "2026-11-21 10:00", "2026-11-21 11:00" },
	{ "Fri-Mon 10:00-11:00", "2026-11-23 11:00", "2026-11-27 10:00", "2026-11-27 11:00" },
	{ "Sun,Tue-Wed 10:00-11:00", "2026-11-20 11:00", "2026-11-22 10:00", "2026-11-22 11:00" },
	{ "Sun,Tue-Wed 10:00-11:00", "2026-11-22 11:00", "2026-11-24 10:00", "2026-11-24 11:00" },
	/* Leap days, and years that have none. */
	{ "Tue 09:00-10:00", "2028-02-28 12:00", "2028-02-29 09:00", "2028-02-29 10:00" },
	{ "daily 23:00-01:00", "2027-03-01 00:30", "2027-02-28 23:00", "2027-03-01 01:00" },
	{ "daily 23:00-01:00", "2028-02-29 00:30", "2028-02-28 23:00", "2028-02-29 01:00" },
	/* Before the epoch: clocks are wrong at times. */
	{ "Wed 12:00-13:00", "1969-12-31 11:00", "1969-12-31 12:00", "1969-12-31 13:00" },
	/* Berlin skips 02:00 to 03:00 (01:00 UTC). */
	{ "Sun 01:00-02:30 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 00:00",
		"2026-03-29 01:00" },
	{ "Sun 02:30-04:00 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00",
		"2026-03-29 02:00" },
	{ "Sun 02:15-02:45 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 01:00",
		"2026-03-29 01:30" },
	{ "Sun 00:00-24:00 Europe/Berlin", "2026-03-29 12:00", "2026-03-28 23:00",
		"2026-03-29 22:00" },
	/* Berlin has 02:00 to 03:00 twice (from 00:00 and from 01:00 UTC). */
	{ "Sun 01:00-02:30 Europe/Berlin", "2026-10-25 00:00", "2026-10-24 23:00",
		"2026-10-25 00:30" },
	{ "Sun 01:00-02:30 Europe/Berlin", "2026-10-25 01:15", "2026-11-01 00:00",
		"2026-11-01 01:30" },
	{ "Sun 02:30-04:00 Europe/Berlin", "2026-10-25 01:00", "2026-10-25 00:30",
		"2026-10-25 03:00" },
	{ "Sun 02:15-02:45 Europe/Berlin", "2026-10-25 00:30", "2026-10-25 00:15",
		"2026-10-25 00:45" },
	{ "Sun 02:15-02:45 Europe/Berlin", "2026-10-25 01:20", "2026-11-01 01:15",
		"2026-11-01 01:45" },
	/* New York: 2026-03-08 07:00 and 2026-11-01 06:00 UTC. */
	{ "daily 02:30-05:00 America/New_York", "2026-03-08 06:59", "2026-03-08 07:00",
		"2026-03-08 09:00" },
	{ "daily 22:00-06:00 America/New_York", "2026-03-08 08:00", "2026-03-08 03:00",
		"2026-03-08 10:00" },
	{ "daily 01:30-03:00 America/New_York", "2026-11-01 06:45", "2026-11-01 05:30",
		"2026-11-01 08:00" },
	/* The 30th of December 2011, a Friday, was none in Samoa. */
	{ "Fri 12:00-14:00 Pacific/Apia", "2011-12-30 09:59", "2011-12-30 10:00",
		"2011-12-30 12:00" },
};

START_TEST(window)
{
	struct calendar_rule rules[RULES];
	size_t count = read_rules(windows[_i].rules, calendar_read_window, rules);
	struct calendar_span span = calendar_window(rules, count, at(windows[_i].time), offset);

	ck_assert_msg(span.begin == at(windows[_i].begin) && span.end == at(windows[_i].end),
		"%s at %s: %s to %s", windows[_i].rules, windows[_i].time, spelled(span.begin),
		spelled(span.end));
}
END_TEST

/* A whole year, by what the clock shows at each quarter of an hour. */
START_TEST(windows_as_clocks_show_them)
{
	struct calendar_rule rule;
	int64_t time = at("2026-01-01 00:00"), end = at("2027-01-01 00:00");
	size_t open = 0;

	ck_assert_int_eq(calendar_read_window("Mon-Fri 08:00-18:00 Europe/Berlin", &rule, NULL), 0);
	for (; time < end; time += 900) {
		struct calendar_span span = calendar_window(&rule, 1, time, offset);
		int64_t wall = time + offset("Europe/Berlin", time);
		int64_t minute = wall % 86400 / 60, day = (wall / 86400 + 3) % 7;
		bool shown = day < 5 && minute >= 480 && minute < 1080;

		ck_assert_msg((span.begin <= time) == shown, "%s", spelled(time));
		ck_assert_int_gt(span.end, time);
		open += shown;
	}
	ck_assert_uint_eq(open, 261 * 40);
}
END_TEST

static const struct {
	const char *rules, *time, *end;
} ends[] = {
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 16:59:59", "2026-11-19 17:00" },
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-20 17:00", "2026-11-20 17:00" },
	{ "Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-23 06:00", "2026-11-20 17:00" },
	{ "Fri 08:00-24:00;Sat 00:00-02:00", "2026-11-21 01:00", "2026-11-14 02:00" },
};

START_TEST(window_end)
{
	struct calendar_rule rules[RULES];
	size_t count = read_rules(ends[_i].rules, calendar_read_window, rules);
	int64_t end = calendar_window_end(rules, count, at(ends[_i].time), offset);

	ck_assert_msg(end == at(ends[_i].end), "%s at %s: %s", ends[_i].rules, ends[_i].time,
		spelled(end));
}
END_TEST

START_TEST(always)
{
	struct calendar_rule rules[RULES];
	int64_t time = at("2026-11-20 12:00");
	size_t count =
		read_rules("Mon-Fri 00:00-24:00;Sat,Sun 00:00-24:00", calendar_read_window, rules);
	struct calendar_span span = calendar_window(rules, count, time, offset);

	ck_assert_int_le(span.begin, time);
	ck_assert_int_gt(span.end, time + 7 * 86400);
	ck_assert_int_eq(calendar_window_end(rules, count, time, offset), INT64_MIN);
}
END_TEST

/* ---- moments ---- */

static const struct {
	const char *rules, *time, *last, *next;
} moments[] = {
	{ "daily 03:00", "2026-11-20 03:00", "2026-11-20 03:00", "2026-11-21 03:00" },
	{ "daily 03:00", "2026-11-20 02:59:59", "2026-11-19 03:00", "2026-11-20 03:00" },
	{ "daily 03:00 Europe/Berlin", "2026-07-20 02:00", "2026-07-20 01:00", "2026-07-21 01:00" },
	{ "Mon,Thu 04:30", "2026-11-20 00:00", "2026-11-19 04:30", "2026-11-23 04:30" },
	{ "Mon 04:30;daily 05:00", "2026-11-23 04:00", "2026-11-22 05:00", "2026-11-23 04:30" },
	{ "hourly :15", "2026-11-20 12:14:59", "2026-11-20 11:15", "2026-11-20 12:15" },
	{ "hourly :15", "2026-11-20 12:15", "2026-11-20 12:15", "2026-11-20 13:15" },
	{ "hourly :00", "2026-11-20 23:59:59", "2026-11-20 23:00", "2026-11-21 00:00" },
	{ "Tue 12:00", "2028-02-29 12:00", "2028-02-29 12:00", "2028-03-07 12:00" },
	/* An hour that is skipped, */
	{ "daily 02:30 Europe/Berlin", "2026-03-29 00:59:59", "2026-03-28 01:30",
		"2026-03-29 01:00" },
	{ "daily 02:30 Europe/Berlin", "2026-03-29 01:00", "2026-03-29 01:00", "2026-03-30 00:30" },
	{ "daily 02:30 Europe/Berlin;daily 02:45 Europe/Berlin", "2026-03-29 01:00",
		"2026-03-29 01:00", "2026-03-30 00:30" },
	{ "Sun 02:30 America/New_York", "2026-03-08 06:00", "2026-03-01 07:30",
		"2026-03-08 07:00" },
	{ "hourly :30 Europe/Berlin", "2026-03-29 00:30", "2026-03-29 00:30", "2026-03-29 01:30" },
	/* and one that comes twice. */
	{ "daily 02:30 Europe/Berlin", "2026-10-25 00:00", "2026-10-24 00:30", "2026-10-25 00:30" },
	{ "daily 02:30 Europe/Berlin", "2026-10-25 00:30", "2026-10-25 00:30", "2026-10-26 01:30" },
	{ "daily 02:30 Europe/Berlin", "2026-10-25 01:30", "2026-10-25 00:30", "2026-10-26 01:30" },
	{ "daily 01:30 America/New_York", "2026-11-01 05:30", "2026-11-01 05:30",
		"2026-11-02 06:30" },
	{ "hourly :30 Europe/Berlin", "2026-10-25 00:30", "2026-10-25 00:30", "2026-10-25 01:30" },
	/* From 02:00 to 02:30 at 2026-10-03 15:30 UTC. */
	{ "hourly :15 Australia/Lord_Howe", "2026-10-03 14:45", "2026-10-03 14:45",
		"2026-10-03 16:15" },
	{ "hourly :15 Australia/Lord_Howe", "2026-10-03 16:14", "2026-10-03 14:45",
		"2026-10-03 16:15" },
	{ "hourly :45 Australia/Lord_Howe", "2026-10-03 15:15", "2026-10-03 15:15",
		"2026-10-03 15:45" },
	{ "Fri 12:00 Pacific/Apia", "2011-12-30 09:00", "2011-12-23 22:00", "2011-12-30 10:00" },
};

START_TEST(moment)
{
	struct calendar_rule rules[RULES];
	size_t count = read_rules(moments[_i].rules, calendar_read_moment, rules);
	int64_t time = at(moments[_i].time);
	int64_t last = calendar_last_moment(rules, count, time, offset);
	int64_t next = calendar_next_moment(rules, count, time, offset);

	ck_assert_msg(last == at(moments[_i].last) && next == at(moments[_i].next),
		"%s at %s: last %s, next %s", moments[_i].rules, moments[_i].time, spelled(last),
		spelled(next));
}
END_TEST

START_TEST(moments_follow_each_other)
{
	static const char *const texts[] = { "daily 02:30 Europe/Berlin", "hourly :59",
		"Sun 02:00 America/New_York", "hourly :15 Australia/Lord_Howe" };
	static const int counts[] = { 365, 24 * 365, 52, 24 * 365 };
	struct calendar_rule rule;
	int64_t end = at("2027-01-01 00:00"), time = at("2026-01-01 00:00");
	int count = 0;

	ck_assert_int_eq(calendar_read_moment(texts[_i], &rule, NULL), 0);
	while ((time = calendar_next_moment(&rule, 1, time, offset)) < end) {
		ck_assert_int_eq(calendar_last_moment(&rule, 1, time, offset), time);
		count++;
	}
	ck_assert_int_ge(count, counts[_i] - 1);
	ck_assert_int_le(count, counts[_i] + 1);
}
END_TEST

START_TEST(no_rules)
{
	ck_assert_int_eq(calendar_next_moment(NULL, 0, 0, offset), INT64_MAX);
	ck_assert_int_eq(calendar_last_moment(NULL, 0, 0, offset), INT64_MIN);
}
END_TEST

/* ---- text ---- */

static const struct {
	const char *text, *complaint;
} bad_windows[] = {
	{ "", "ends early" },
	{ "Mon", "ends early" },
	{ "Mon,", "ends early" },
	{ "Mon-", "ends early" },
	{ "Mon-Fri", "ends early" },
	{ "Mon-Fri 08:00", "ends early" },
	{ "Mon-Fri 08:00-", "ends early" },
	{ "08:00-18:00", "\"08:00-18:00\" are no days" },
	{ "Mon-Fry 08:00-18:00", "\"Mon-Fry\" are no days" },
	{ "Monday 08:00-18:00", "\"Monday\" are no days" },
	{ "Mon;Tue 08:00-18:00", "are no days" },
	{ "weekly 08:00-18:00", "are no days" },
	{ "daily 8:00-18:00", "\"8:00-18:00\" is no stretch" },
	{ "daily 08:00 - 18:00", "is no stretch" },
	{ "daily 24:00-06:00", "is no stretch" },
	{ "daily 08:60-18:00", "is no stretch" },
	{ "daily 08:00-25:00", "\"25:00\" is no time" },
	{ "daily 08:00-24:01", "\"24:01\" is no time" },
	{ "daily 08:00-08:00", "00:00-24:00" },
	{ "daily 08:00-18:00Europe/Berlin", "\"Europe/Berlin\" is not what" },
	{ "daily 08:00-18:00 Europe/../etc", "is no time zone" },
	{ "daily 08:00-18:00 /etc/localtime", "is no time zone" },
	{ "daily 08:00-18:00 Europe//Berlin", "is no time zone" },
	{ "daily 08:00-18:00 Europe/", "is no time zone" },
	{ "daily 08:00-18:00 Europe/Berlin x", "is no time zone" },
	{ "daily 08:00-18:00 :UTC0", "is no time zone" },
	{ " daily 08:00-18:00", "are no days" },
	{ "daily 08:00-18:00 ZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZoneZone",
		"is no time zone" },
	{ "daily                                                                              "
	  "                                                                                   "
	  "                                            08:00-18:00",
		"too long" },
}, bad_moments[] = {
	{ "", "ends early" },
	{ "daily", "ends early" },
	{ "03:00", "are no days" },
	{ "daily 24:00", "is no time of day" },
	{ "daily 03:00-04:00", "\"-04:00\" is not what" },
	{ "hourly", "ends early" },
	{ "hourly 15", "is no minute" },
	{ "hourly :5", "is no minute" },
	{ "hourly :60", "is no minute" },
	{ "hourly :15x", "\"x\" is not what" },
	{ "hourlyx :15", "are no days" },
};

START_TEST(wrong_window)
{
	struct calendar_rule rule;
	struct ten_error err = { 0 };

	ck_assert_int_lt(calendar_read_window(bad_windows[_i].text, &rule, &err), 0);
	ck_assert_msg(strstr(err.text, bad_windows[_i].complaint), "%s", err.text);
}
END_TEST

START_TEST(wrong_moment)
{
	struct calendar_rule rule;
	struct ten_error err = { 0 };

	ck_assert_int_lt(calendar_read_moment(bad_moments[_i].text, &rule, &err), 0);
	ck_assert_msg(strstr(err.text, bad_moments[_i].complaint), "%s", err.text);
}
END_TEST

START_TEST(spellings)
{
	struct calendar_rule rule;

	ck_assert_int_eq(calendar_read_window("mon-FRI  22:00-06:00   Etc/GMT+5", &rule, NULL), 0);
	ck_assert_uint_eq(rule.days, 0x1f);
	ck_assert_uint_eq(rule.begin, 22 * 60);
	ck_assert_uint_eq(rule.end, 30 * 60);
	ck_assert_str_eq(rule.zone, "Etc/GMT+5");
	ck_assert_int_eq(calendar_read_window("Sat-Sun,Mon 00:00-24:00 ", &rule, NULL), 0);
	ck_assert_uint_eq(rule.days, 0x61);
	ck_assert_uint_eq(rule.end, 24 * 60);
	ck_assert_str_eq(rule.zone, "");
	ck_assert_int_eq(calendar_read_moment("Daily 03:05", &rule, NULL), 0);
	ck_assert_uint_eq(rule.days, 0x7f);
	ck_assert(!rule.hourly);
	ck_assert_uint_eq(rule.begin, 185);
}
END_TEST

START_TEST(database)
{
	ck_assert(calendar_zone_known(""));
	ck_assert(calendar_zone_known("UTC"));
	ck_assert(calendar_zone_known("Europe/Berlin"));
	ck_assert(!calendar_zone_known("Europe"));
	ck_assert(!calendar_zone_known("Europe/Berln"));
	ck_assert(!calendar_zone_known("zone.tab"));
}
END_TEST

#define LOOP(test, table) tcase_add_loop_test(tcase, test, 0, sizeof(table) / sizeof((table)[0]))

int main(void)
{
	Suite *suite = suite_create("calendar");
	TCase *tcase = tcase_create("calendar");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	LOOP(window, windows);
	tcase_add_test(tcase, windows_as_clocks_show_them);
	LOOP(window_end, ends);
	tcase_add_test(tcase, always);
	LOOP(moment, moments);
	tcase_add_loop_test(tcase, moments_follow_each_other, 0, 4);
	tcase_add_test(tcase, no_rules);
	LOOP(wrong_window, bad_windows);
	LOOP(wrong_moment, bad_moments);
	tcase_add_test(tcase, spellings);
	tcase_add_test(tcase, database);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
