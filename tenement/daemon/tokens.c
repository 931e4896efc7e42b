#include "daemon/tokens.h"
#include "daemon/counters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/token_store.h"
#include "mem.h"
#include "tries.h"

#define MARK_SECS   60
#define ODD_NS      INT64_C(100000000) /* more than a tick of the clock that files' times are of */
#define SECOND_NS   INT64_C(1000000000)
#define NAME_PREFIX "token "
#define KEY_BYTES   8 /* of a digest, to find it by */

struct known {
	struct token token;
	int64_t used, marked;
	ino_t file;
	unsigned round; /* when it was last seen */
	UT_hash_handle by_digest, by_id;
};

struct tokens {
	struct tries *tries;
	DIR *folder;
	struct stat seen; /* the folder as it was when it was read */
	bool again;       /* and it may have changed since without a sign of it */
	bool complained;  /* that there is no such folder */
	bool quiet;       /* what is wrong in it was said */
	unsigned round;
	struct known *by_digest, *by_id;
};

static void forget(struct tokens *tokens, struct known *known)
{
	HASH_DELETE(by_digest, tokens->by_digest, known);
	HASH_DELETE(by_id, tokens->by_id, known);
	explicit_bzero(known, sizeof(*known));
	free(known);
}

static void forget_unseen(struct tokens *tokens)
{
	struct known *known, *next;

	HASH_ITER (by_id, tokens->by_id, known, next)
		if (known->round != tokens->round)
			forget(tokens, known);
}

/* ---- reading ---- */

static bool is_want(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM || code == EIO;
}

static void complain(const struct tokens *tokens, const char *why)
{
	if (!tokens->quiet)
		log_warn("a token is passed over: tokens/%s", why);
}

static struct known *find(const struct tokens *tokens, const unsigned char *digest)
{
	struct known *known;

	HASH_FIND(by_digest, tokens->by_digest, digest, KEY_BYTES, known);
	return known;
}

static void remember(struct tokens *tokens, const struct token *token, int64_t used, ino_t file)
{
	struct known *known = find(tokens, token->digest);

	if (known) {
		autofree char *why =
			mem_printf("%s is the same token as %s", token->id, known->token.id);
		complain(tokens, why);
		return;
	}
	known = mem_alloc(sizeof(*known));
	known->token = *token;
	known->used = known->marked = used;
	known->file = file;
	known->round = tokens->round;
	HASH_ADD_KEYPTR(by_digest, tokens->by_digest, known->token.digest, KEY_BYTES, known);
	HASH_ADD_KEYPTR(by_id, tokens->by_id, known->token.id, strlen(known->token.id), known);
}

static void visit(void *data, const char *id)
{
	struct tokens *tokens = data;
	struct known *known;
	struct token token;
	struct stat st;
	struct ten_error err = { 0 };
	int64_t used;

	HASH_FIND(by_id, tokens->by_id, id, strlen(id), known);
	if (known && fstatat(dirfd(tokens->folder), id, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_ino == known->file && token_store_trusts(&st)) {
		known->round = tokens->round;
		return;
	}
	if (known)
		forget(tokens, known);
	if (token_store_read(dirfd(tokens->folder), id, &token, &used, &st, &err) == 0)
		remember(tokens, &token, used, st.st_ino);
	else if (is_want(err.code))
		tokens->again = true;
	else if (err.code != ENOENT)
		complain(tokens, err.text);
}

static void strange(void *data, const char *name)
{
	autofree char *why = mem_printf("%.64s is no name of a token", name);

	complain(data, why);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_uid == b->st_uid &&
	       a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A change within the tick of the clock in which it was read leaves no sign. */
static bool is_odd(const struct stat *st)
{
	int64_t age = (int64_t)clock_ns(CLOCK_REALTIME) - st->st_mtim.tv_sec * SECOND_NS -
		      st->st_mtim.tv_nsec;

	return age > -SECOND_NS && age < ODD_NS;
}

static void close_folder(struct tokens *tokens)
{
	if (tokens->folder)
		closedir(tokens->folder);
	tokens->folder = NULL;
}

/* 0: it is not the one that was open, or none was. */
static int open_folder(struct daemon *d, struct ten_error *err)
{
	struct tokens *tokens = d->tokens;
	int fd;

	close_folder(tokens);
	fd = token_store_open(d->own_fd, TOKEN_STORE_TAKE, err);
	if (fd < 0)
		return -1;
	tokens->folder = fdopendir(fd);
	if (tokens->folder)
		return 0;
	close(fd);
	return ten_error_set(err, errno, "tokens");
}

static void read_folder(struct tokens *tokens)
{
	struct ten_error err;
	struct stat st;
	bool whole;

	/* (its time before its content: what changes meanwhile is seen the next time) */
	if (fstat(dirfd(tokens->folder), &st) < 0)
		return;
	tokens->quiet = is_same(&st, &tokens->seen);
	tokens->again = false;
	tokens->round++;
	whole = token_store_list(tokens->folder, visit, strange, tokens, &err) == 0;
	if (!whole)
		complain(tokens, err.text);
	forget_unseen(tokens);
	tokens->seen = st;
	tokens->again |= !whole || is_odd(&st);
}

/* Bring what is known up to what there is. */
static void refresh(struct daemon *d)
{
	struct tokens *tokens = d->tokens;
	struct ten_error err = { 0 };
	struct stat st;

	if (fstatat(d->own_fd, TOKEN_STORE_FOLDER, &st, AT_SYMLINK_NOFOLLOW) < 0)
		st = (struct stat){ 0 };
	if (tokens->folder && !tokens->again && is_same(&st, &tokens->seen))
		return;
	if ((!tokens->folder || st.st_dev != tokens->seen.st_dev ||
		    st.st_ino != tokens->seen.st_ino || st.st_uid != tokens->seen.st_uid ||
		    st.st_mode != tokens->seen.st_mode) &&
		open_folder(d, &err) < 0) {
		tokens->round++;
		forget_unseen(tokens);
		tokens->seen = (struct stat){ 0 };
		if (err.code != ENOENT && !tokens->complained)
			log_warn("%s", err.text);
		tokens->complained = err.code != ENOENT;
		return;
	}
	tokens->complained = false;
	read_folder(tokens);
}

void tokens_start(struct daemon *d)
{
	uint64_t seed = clock_ns(CLOCK_REALTIME);

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		log_warn("random numbers: %s", strerror(errno));
	d->tokens = mem_alloc(sizeof(*d->tokens));
	d->tokens->tries = tries_new(seed);
	refresh(d);
}

void tokens_stop(struct daemon *d)
{
	d->tokens->round++;
	forget_unseen(d->tokens);
	close_folder(d->tokens);
	tries_free(d->tokens->tries);
	free(d->tokens);
	d->tokens = NULL;
}

/* ---- asking ---- */

static const enum principal_scope scopes[TOKEN_SCOPES] = {
	[TOKEN_ALL] = SCOPE_ALL,
	[TOKEN_TENANT] = SCOPE_TENANT,
	[TOKEN_INSTANCE] = SCOPE_INSTANCE,
};

static int judge(struct tokens *tokens, struct known *known, struct principal *who)
{
	int64_t now = (int64_t)time(NULL);

	if (!known)
		return TOKENS_UNKNOWN;
	if (token_expired(&known->token, now))
		return TOKENS_EXPIRED;
	known->used = now;
	if (now - known->marked >= MARK_SECS || now < known->marked) {
		known->marked = now;
		token_store_mark_used(dirfd(tokens->folder), known->token.id, now);
	}
	*who = (struct principal){ .uid = (uid_t)-1,
		.read_only = known->token.read_only,
		.scope = scopes[known->token.scope] };
	snprintf(who->name, sizeof(who->name), NAME_PREFIX "%s", known->token.id);
	snprintf(who->of, sizeof(who->of), "%s", known->token.of);
	return TOKENS_GOOD;
}

int tokens_check(struct daemon *d, const char *bearer, size_t len, struct principal *who)
{
	unsigned char digest[TOKEN_DIGEST_BYTES];
	struct known *known;

	refresh(d);
	if (!token_digest(bearer, len, digest))
		return TOKENS_UNKNOWN;
	known = find(d->tokens, digest);
	if (known && !token_same(known->token.digest, digest))
		known = NULL;
	return judge(d->tokens, known, who);
}

static struct known *find_id(const struct tokens *tokens, const char *id)
{
	struct known *known;

	HASH_FIND(by_id, tokens->by_id, id, strlen(id), known);
	return known;
}

int tokens_check_id(struct daemon *d, const char *id, struct principal *who)
{
	refresh(d);
	return judge(d->tokens, find_id(d->tokens, id), who);
}

const char *tokens_id_of(const struct principal *who)
{
	return who->name + strlen(NAME_PREFIX);
}

bool tokens_still_good(struct daemon *d, const struct principal *who)
{
	struct principal now;

	return who->local || who->scope == SCOPE_NONE ||
	       tokens_check_id(d, tokens_id_of(who), &now) == TOKENS_GOOD;
}

bool tokens_may_try(struct daemon *d, const char *address, unsigned *wait_secs)
{
	return tries_allowed(d->tokens->tries, address, daemon_now_ms(), wait_secs);
}

void tokens_failed(struct daemon *d, const char *address)
{
	counters_wrong_token();
	if (tries_failed(d->tokens->tries, address, daemon_now_ms()))
		log_warn("%s has brought %u wrong tokens, and may not try again for a minute",
			address, TRIES_MAX);
}

int tokens_add(
	struct daemon *d, struct token *token, char text[TOKEN_TEXT_SIZE], struct ten_error *err)
{
	autoclose int folder = -1;

	refresh(d);
	if (HASH_CNT(by_id, d->tokens->by_id) >= TOKEN_STORE_MAX)
		return ten_error_set(
			err, ENOSPC, "there are %u tokens: revoke some", TOKEN_STORE_MAX);
	folder = token_store_open(d->own_fd, TOKEN_STORE_MAKE, err);
	return folder < 0 ? -1 : token_store_add(folder, token, text, err);
}

int tokens_remove(struct daemon *d, const char *id, struct ten_error *err)
{
	autoclose int folder = -1;
	struct known *known = find_id(d->tokens, id);
	int removed;

	if (!token_is_id(id))
		return 0;
	folder = token_store_open(d->own_fd, TOKEN_STORE_TAKE, err);
	if (folder < 0)
		return err->code == ENOENT ? 0 : -1;
	removed = token_store_remove(folder, id, err);
	if (removed >= 0 && known)
		forget(d->tokens, known);
	return removed;
}

static int compare(struct known *a, struct known *b)
{
	if (a->token.created != b->token.created)
		return a->token.created < b->token.created ? -1 : 1;
	return strcmp(a->token.id, b->token.id);
}

void tokens_each(struct daemon *d, void (*see)(void *data, const struct token *token, int64_t used),
	void *data)
{
	struct known *known, *next;

	refresh(d);
	HASH_SRT(by_id, d->tokens->by_id, compare);
	HASH_ITER (by_id, d->tokens->by_id, known, next)
		see(data, &known->token, known->used);
}
