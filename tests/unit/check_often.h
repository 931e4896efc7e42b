/*
 * check.h for tests that assert thousands of times and more. There each assertion that holds is
 * written down, a system call, so that a crash can be said to have been "after this point"; here
 * only what fails is.
 */
#ifndef TEN_TESTS_CHECK_OFTEN_H
#define TEN_TESTS_CHECK_OFTEN_H

#include <check.h>

#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                   \
	((expr) ? (void)0                                                                          \
		: _ck_assert_failed(                                                               \
			  __FILE__, __LINE__, "Assertion '" #expr "' failed", ##__VA_ARGS__))

#endif
