/* What was used: see usage_db_query(). */
#include <stdbool.h>
#include <stdio.h>

#include "usage_sqlite.h"

#define SUMS                                                                                       \
	" sum(requests), sum(bytes_in), sum(bytes_out), sum(cpu_usec), sum(uptime_ms),"            \
	" sum(memory_kib_secs), max(memory_max_bytes), sum(io_read_bytes), sum(io_written_bytes)," \
	" sum(starts), sum(oom_kills), coalesce(max(stored_bytes), -1)"

static void take_row(sqlite3_stmt *statement, struct usage_row *row)
{
	struct usage_sum *sum = &row->sum;

	*row = (struct usage_row){ .tenant = sqlite3_column_int64(statement, 0) };
	snprintf(row->service, sizeof(row->service), "%s",
		(const char *)sqlite3_column_text(statement, 1));
	snprintf(row->id, sizeof(row->id), "%s", (const char *)sqlite3_column_text(statement, 2));
	sum->requests = usage_sqlite_number(statement, 3);
	sum->bytes_in = usage_sqlite_number(statement, 4);
	sum->bytes_out = usage_sqlite_number(statement, 5);
	sum->cpu_usec = usage_sqlite_number(statement, 6);
	sum->uptime_ms = usage_sqlite_number(statement, 7);
	sum->memory_kib_secs = usage_sqlite_number(statement, 8);
	sum->memory_max_bytes = usage_sqlite_number(statement, 9);
	sum->io_read_bytes = usage_sqlite_number(statement, 10);
	sum->io_written_bytes = usage_sqlite_number(statement, 11);
	sum->starts = usage_sqlite_number(statement, 12);
	sum->oom_kills = usage_sqlite_number(statement, 13);
	sum->stored_bytes = usage_sqlite_number(statement, 14); /* (-1 is USAGE_UNKNOWN) */
}

/* The rows of the hours from FROM until END behind tenant AFTER, MOST of them. Hours are gone
 * through one by one where one tenant is asked for, of whom most have few. */
static int take_rows(struct usage_db *db, const struct usage_query *query, int64_t from,
	int64_t end, int64_t after, struct usage_row *rows, int most, struct ten_error *err)
{
	static const char all[] = "SELECT usage.tenant, service, tenant.id," SUMS
				  " FROM usage JOIN tenant ON tenant.number = usage.tenant"
				  " WHERE hour >= ?1 AND hour < ?2 AND usage.tenant > ?3 AND (?5 = "
				  "'' OR service = ?5)"
				  " AND (?6 = '' OR tenant.id = ?6) GROUP BY usage.tenant ORDER BY "
				  "usage.tenant LIMIT ?4";
	static const char one[] =
		"WITH RECURSIVE hours(h) AS (SELECT ?1 UNION ALL SELECT h + 1 FROM hours"
		" WHERE h + 1 < ?2)"
		" SELECT usage.tenant, service, tenant.id," SUMS " FROM tenant CROSS JOIN hours"
		" CROSS JOIN usage ON usage.hour = h AND usage.tenant = tenant.number"
		" WHERE tenant.number > ?3 AND service = ?5 AND tenant.id = ?6"
		" GROUP BY usage.tenant LIMIT ?4";
	sqlite3_stmt *statement =
		USAGE_SQLITE_PREPARE(db, *query->id ? one : all, from, end, after, most);
	int count = 0, rc;

	if (!statement)
		return usage_sqlite_fail(db, err);
	sqlite3_bind_text(statement, 5, query->service, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(statement, 6, query->id, -1, SQLITE_TRANSIENT);
	while ((rc = usage_sqlite_step(statement)) == SQLITE_ROW)
		take_row(statement, &rows[count++]);
	return rc == SQLITE_DONE ? count : usage_sqlite_fail(db, err);
}

/* The first hour from FROM on that has rows, and the one behind the last. */
static int bounds(
	struct usage_db *db, int64_t from, int64_t *first, int64_t *end, struct ten_error *err)
{
	static const char text[] =
		"SELECT coalesce((SELECT min(hour) FROM usage WHERE hour >= ?), 0),"
		" coalesce((SELECT max(hour) FROM usage), -1) + 1";
	sqlite3_stmt *statement = USAGE_SQLITE_PREPARE(db, text, from);

	if (usage_sqlite_step(statement) != SQLITE_ROW)
		return usage_sqlite_fail(db, err);
	*first = sqlite3_column_int64(statement, 0);
	*end = sqlite3_column_int64(statement, 1);
	sqlite3_reset(statement);
	return 0;
}

int usage_db_query(struct usage_db *db, const struct usage_query *query, struct usage_row *rows,
	struct ten_error *err)
{
	enum usage_by by = (enum usage_by)query->by;
	bool goes_on = query->after_hour >= query->since;
	int64_t from = goes_on ? query->after_hour : query->since;
	int64_t after = goes_on ? query->after_tenant : 0;
	int count = 0;

	while (count < USAGE_DB_PAGE) {
		int64_t first = 0, end = 0, until = query->until;
		int had;

		if (bounds(db, from, &first, &end, err) < 0)
			return -1;
		if (end < until)
			until = end;
		/* A sum of all begins where it was asked to, whatever there is. */
		if (by != USAGE_BY_TENANT && usage_begin(by, first) > from) {
			from = usage_begin(by, first);
			after = 0;
		}
		if (from >= until || first >= until)
			break;
		if (by == USAGE_BY_HOUR)
			end = from + 1;
		else if (by == USAGE_BY_DAY)
			end = usage_begin(by, from) + 24;
		else
			end = until;
		had = take_rows(db, query, first > from ? first : from, end < until ? end : until,
			after, rows + count, USAGE_DB_PAGE - count, err);
		for (int i = 0; i < had; i++)
			rows[count + i].hour = from;
		if (had < 0)
			return -1;
		count += had;
		if (by == USAGE_BY_TENANT)
			break;
		if (count < USAGE_DB_PAGE) {
			from = end;
			after = 0;
		}
	}
	return count;
}
