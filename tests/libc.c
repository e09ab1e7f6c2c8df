/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library as it is linked here: formats, strings, numbers, sorting, time, setjmp.
 *
 * @test machines=virt,q35,microvm harts=1,4 "written" "côté 7, €"
 */
#include <ctype.h>
#include <errno.h>
#include <fenv.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "test.h"

static char text[300];
static go_chan *done;

#define FORMAT(want, ...) \
	do { \
		int format_length = snprintf(text, sizeof(text), __VA_ARGS__); \
		CHECK_STR(text, want); \
		CHECK_EQ(format_length, strlen(want)); \
	} while (0)

static void formats(void)
{
	FORMAT("-7|00042|+5| 5|ff|0XFF|0777|%", "%d|%05d|%+d|% d|%x|%#X|%#o|%%", -7, 42, 5, 5, 255, 255, 511);
	FORMAT("  right|left   |cut", "%7s|%-7s|%.3s", "right", "left", "cutoff");
	FORMAT("c 9223372036854775807 -9223372036854775808", "%c %lld %" PRId64, 'c', LLONG_MAX, INT64_MIN);
	FORMAT("18446744073709551615 127 -1", "%zu %hhd %hd", SIZE_MAX, (signed char)127, (short)-1);
	FORMAT("3.142 -0.5 1e+10 1.500000e-07", "%.3f %g %g %e", 3.14159265, -0.5, 1e10, 1.5e-7);
	FORMAT("inf -INF nan", "%f %F %g", INFINITY, -INFINITY, (double)NAN);
	int before;
	FORMAT("twelve bytes", "twelve%n bytes", &before);
	CHECK_EQ(before, 6);
}

static void floats_exactly(void)
{
	static const double values[] = { 0.1, 1.0 / 3, 1e300, 5e-324, 123456789.123456789, -2.5 };
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(text, sizeof(text), "%.17g", values[i]);
		CHECK(strtod(text, NULL) == values[i]);
		snprintf(text, sizeof(text), "%a", values[i]);
		CHECK(strtod(text, NULL) == values[i]);
	}
	FORMAT("0.30000000000000004", "%.17g", 0.1 + 0.2);

	long double third = 1.0L / 3, read;
	snprintf(text, sizeof(text), "%La", third);
	CHECK(strtold(text, NULL) == third);
	CHECK_EQ(sscanf("-2.5", "%Lf", &read), 1);
	CHECK(read == -2.5L);
	FORMAT("0.333333333333333333", "%.18Lf", third); /* more digits than a double has */
}

static void truncation(void)
{
	char small[8] = "xxxxxxx";
	volatile size_t room = 5;
	CHECK_EQ(snprintf(small, room, "%d", 1234567), 7);
	CHECK_STR(small, "1234");
	CHECK_EQ(snprintf(NULL, 0, "%s", "length"), 6);
}

static void scanning(void)
{
	int a = 0, b = 0;
	double d = 0;
	char word[10];
	CHECK_EQ(sscanf("12 0x1f 2.5 word", "%d %i %lf %9s", &a, &b, &d, word), 4);
	CHECK_EQ(a, 12);
	CHECK_EQ(b, 31);
	CHECK(d == 2.5);
	CHECK_STR(word, "word");
	CHECK_EQ(strtol("-0x10", NULL, 0), -16);
	errno = 0;
	CHECK_EQ(strtol("99999999999999999999", NULL, 10), LONG_MAX);
	CHECK_EQ(errno, ERANGE);
	CHECK_EQ(strtoull("18446744073709551615", NULL, 10), ULLONG_MAX);
}

static unsigned char area[300];

static void check_area(size_t from, size_t to, int inside, int outside)
{
	for (size_t i = 0; i < sizeof(area); i++)
		CHECK_EQ(area[i], i >= from && i < to ? inside : outside);
}

/* All alignments and lengths around a word and a cache line. */
static void memory_functions(void)
{
	unsigned char source[300], copy[300];
	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (unsigned char)(i * 7 + 1);
	for (size_t from = 0; from < 17; from++)
		for (size_t length = 0; length < 140; length += length < 20 ? 1 : 13) {
			memset(area, 0xaa, sizeof(area));
			memset(area + from, 0x55, length);
			check_area(from, from + length, 0x55, 0xaa);
			memset(area, 0, sizeof(area));
			memcpy(area + from, source + (from * 5) % 16, length);
			CHECK_EQ(memcmp(area + from, source + (from * 5) % 16, length), 0);
			CHECK_EQ(area[from + length], 0);
			memcpy(area, source, sizeof(area));
			memmove(area + from, area + 8, length);
			memcpy(copy, source, sizeof(copy));
			for (size_t i = 0; i < length; i++)
				copy[from + i] = source[8 + i];
			CHECK_EQ(memcmp(area, copy, sizeof(area)), 0);
		}
	CHECK(memcmp("a\377", "a\001", 2) > 0);
	CHECK(memchr(source, source[200], sizeof(source)) != NULL);
}

static void strings(void)
{
	char buffer[20] = "ab";
	char *rest;
	CHECK_STR(strcat(buffer, "cd"), "abcd");
	CHECK(strcmp("a\200", "a\177") > 0);
	CHECK_EQ(strncmp("abcX", "abcY", 3), 0);
	CHECK_STR(strrchr("/a/b", '/'), "/b");
	CHECK_STR(strstr("needle in hay", "in"), "in hay");
	CHECK_EQ(strspn("123a", "321"), 3);
	CHECK_STR(strtok_r(strcpy(buffer, "x,,y"), ",", &rest), "x");
	CHECK_STR(strtok_r(NULL, ",", &rest), "y");
	CHECK(!strtok_r(NULL, ",", &rest));
	CHECK_EQ(strnlen("abc", 2), 2);
	char *copy = strdup("copy");
	CHECK_STR(copy, "copy");
	free(copy);
	CHECK(isalpha('q') && !isalpha('1') && toupper('q') == 'Q');
	CHECK(strlen(strerror(ENOMEM)) > 0);
}

static void mathematics(void)
{
	volatile double two = 2, tenth = 0.1;
	CHECK(sqrt(two) == 1.4142135623730951);
	CHECK(fabs(sin(tenth) - 0.09983341664682815) < 1e-16);
	CHECK(fabs(exp(tenth) - 1.1051709180756477) < 4e-16);
	CHECK(fabs(log(two) - 0.6931471805599453) < 2e-16);
	CHECK(pow(two, 0.5) == sqrt(two));
	CHECK(fabs(atan2(two, -two) - 2.356194490192345) < 1e-15);
	CHECK(floor(-1.5) == -2 && ceil(-1.5) == -1 && fmod(7, two) == 1);
	CHECK(isnan(sqrt(-two)) && isinf(two / 0.0));
	CHECK_EQ(lrint(2.5 * two - 2.5), 2);
	CHECK(sqrtf((float)two) == 1.41421354f);
}

static void round_and_switch(void *mode)
{
	volatile double one = 1, three = 3;
	CHECK_EQ(fesetround((int)(intptr_t)mode), 0);
	double before = one / three;
	for (int i = 0; i < 20; i++) {
		go_yield();
		CHECK(one / three == before);
		CHECK_EQ(fegetround(), (intptr_t)mode);
	}
	CHECK((before > 1.0 / 3) == ((intptr_t)mode == FE_UPWARD));
	go_send(done, NULL);
}

/* Rounding belongs to the goroutine; the flags tell what happened lately on this hart. */
static void rounding_and_flags(void)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	volatile double one = 1, three = 3, huge = 1e300;
	CHECK_EQ(fegetround(), FE_TONEAREST);
	feclearexcept(FE_ALL_EXCEPT);
	CHECK_EQ(fetestexcept(FE_ALL_EXCEPT), 0);
	huge = huge * huge + one / three;
	CHECK_EQ(fetestexcept(FE_OVERFLOW | FE_INEXACT | FE_DIVBYZERO), FE_OVERFLOW | FE_INEXACT);
	fenv_t kept[3]; /* the one in the middle is as large as the library thinks */
	memset(kept, 0x5a, sizeof(kept));
	CHECK_EQ(fegetenv(&kept[1]), 0);
	CHECK_EQ(fesetround(FE_UPWARD), 0);
	CHECK_EQ(fesetenv(&kept[1]), 0);
	CHECK_EQ(fegetround(), FE_TONEAREST);
	for (size_t i = 0; i < sizeof(kept[0]); i++)
		CHECK(((unsigned char *)&kept[0])[i] == 0x5a && ((unsigned char *)&kept[2])[i] == 0x5a);
	done = go_chan_make(0, 0);
	for (int i = 0; i < 16; i++)
		go(round_and_switch, (void *)(intptr_t)modes[i % 4]);
	for (int i = 0; i < 16; i++)
		go_recv(done, NULL);
	go_chan_free(done);
}

static int compare(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static void sort_and_search(void)
{
	static int numbers[1000];
	for (int i = 0; i < 1000; i++)
		numbers[i] = i * 367 % 1000;
	qsort(numbers, 1000, sizeof(int), compare);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(numbers[i], i);
	int key = 777;
	CHECK(bsearch(&key, numbers, 1000, sizeof(int), compare) == &numbers[777]);
}

static jmp_buf out;

static __attribute__((noinline)) void jump(int depth)
{
	if (depth == 0)
		longjmp(out, 7);
	jump(depth - 1);
}

static void jumps(void)
{
	volatile int kept = 3;
	int got = setjmp(out);
	if (got == 0) {
		kept = 4;
		jump(20);
	}
	CHECK_EQ(got, 7);
	CHECK_EQ(kept, 4);
}

static void clocks(void)
{
	struct timespec a, b;
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &a), 0);
	go_sleep(3 * MS);
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &b), 0);
	CHECK((b.tv_sec - a.tv_sec) * SECOND + b.tv_nsec - a.tv_nsec >= 3 * MS);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &a), 0);
	int64_t start = go_now();
	CHECK(a.tv_sec * SECOND + a.tv_nsec <= start);
	CHECK_EQ(nanosleep(&(struct timespec){ 0, 2 * MS }, &b), 0);
	CHECK_EQ(usleep(1000), 0);
	CHECK(go_now() >= start + 3 * MS);
	CHECK_EQ(nanosleep(&(struct timespec){ 0, SECOND }, NULL), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(timespec_get(&b, TIME_UTC), TIME_UTC);
	CHECK(b.tv_sec * SECOND + b.tv_nsec > start);
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &b), 0);
	CHECK_IN(b.tv_nsec, 1, 1000);
	struct tm tm;
	time_t when = 951782400; /* a leap day */
	CHECK(gmtime_r(&when, &tm));
	CHECK_EQ(strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm), 19);
	CHECK_STR(text, "2000-02-29 00:00:00");
}

static void wide_characters(void)
{
	wchar_t wide[40];
	int number;
	FORMAT("wide|   ab|q", "%ls|%5.2ls|%lc", L"wide", L"abc", (wint_t)L'q');
	CHECK_EQ(swprintf(wide, 40, L"%ls %d %s", L"wide", 7, "narrow"), 13);
	CHECK_EQ(wcscmp(wide, L"wide 7 narrow"), 0);
	CHECK_EQ(swscanf(L"12 abc", L"%d %ls", &number, wide), 2);
	CHECK_EQ(wcscmp(wide, L"abc"), 0);
	CHECK_EQ(mbstowcs(NULL, "abc", 0), 3);
	CHECK_EQ(wcstombs(NULL, L"abcd", 0), 4);
	CHECK_EQ(MB_CUR_MAX, 1);
	CHECK_EQ(mbstowcs(wide, "\303\274", 40), (size_t)-1);
	CHECK(setlocale(LC_ALL, "C.UTF-8"));
	FORMAT("gr\303\274n", "%ls", L"gr\u00fcn");
	CHECK_EQ(mbstowcs(wide, "gr\303\274n", 40), 4);
	CHECK_EQ(wide[2], 0xfc);
	wprintf(L"\tc\u00f4t\u00e9 %d, ", 7);
	fputws(L"\u20ac", stdout);
	putwchar(L'\n');
	CHECK(setlocale(LC_ALL, "C"));
	CHECK_EQ(putwchar(0x20ac), WEOF);
	CHECK_EQ(errno, EILSEQ);
}

static void streams_in_memory(void)
{
	FILE *memory = fmemopen(text, sizeof(text), "w");
	CHECK(memory);
	fprintf(memory, "%d in memory", 5);
	CHECK_EQ(fflush(memory), 0);
	CHECK_STR(text, "5 in memory");
	CHECK_EQ(fclose(memory), 0);
}

static void input_is_empty(void)
{
	CHECK_EQ(getchar(), EOF);
	CHECK(fgets(text, sizeof(text), stdin) == NULL);
	CHECK_EQ(fprintf(stderr, "\tto stderr\n"), 11);
	CHECK_EQ(puts("\tputs") < 0, 0);
}

static void flushing(void)
{
	CHECK_EQ(printf("\tflushed"), 8);
	CHECK_EQ(fflush(NULL), 0); /* all that there is */
	CHECK_EQ(fflush(stdin), 0);
	CHECK_EQ(fprintf(stderr, ", and flushed\n"), 14);
	CHECK_EQ(fflush(stderr), 0);
}

static void no_files(void)
{
	errno = 0;
	CHECK(fopen("/etc/passwd", "r") == NULL);
	CHECK_EQ(errno, ENOENT);
	CHECK(fopen("new", "w") == NULL);
	CHECK_EQ(errno, EROFS);
	CHECK(tmpfile() == NULL);
	CHECK_EQ(remove("something"), -1);
	CHECK_EQ(write(1, "written", 8), 8);
	CHECK_EQ(write(2, "\n", 1), 1);
	CHECK_EQ(write(7, "x", 1), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(read(0, text, sizeof(text)), 0);
	CHECK_EQ(isatty(1), 0);
}

#include <tgmath.h>

/* The functions without a type: of each number of arguments, and of each kind. */
static void any_type(void)
{
	float f = 4;
	double d = 4;
	long double l = 4;
	double complex z = -4;
	float complex zf = 3 + 4 * I;
	int i = 4, exponent;
	CHECK_EQ(sizeof(sqrt(f)), sizeof(f));
	CHECK_EQ(sizeof(sqrt(d)), sizeof(d));
	CHECK_EQ(sizeof(sqrt(i)), sizeof(d));
	CHECK_EQ(sizeof(sqrt(l)), sizeof(l));
	CHECK_EQ(sizeof(sqrt(z)), sizeof(z));
	CHECK_EQ(sizeof(pow(f, i)), sizeof(d));
	CHECK(sqrt(f) == 2 && sqrt(i) == 2 && sqrt(l) == 2 && cimag(sqrt(z)) == 2);
	CHECK_EQ(sizeof(fabs(zf)), sizeof(f));
	CHECK(fabs(zf) == 5 && creal(conj(zf)) == 3 && carg(d) == 0);
	CHECK(fma(f, i, d) == 20 && hypot(3, i) == 5 && frexp(f, &exponent) == 0.5F && exponent == 3);
	CHECK_EQ(lrint(f) + llround(d), 8);
}

int main(int argc, char **argv)
{
	TESTS(TEST(formats), TEST(floats_exactly), TEST(truncation), TEST(scanning),
	      TEST(memory_functions), TEST(strings), TEST(mathematics), TEST(rounding_and_flags), TEST(sort_and_search),
	      TEST(jumps), TEST(clocks), TEST(wide_characters), TEST(streams_in_memory), TEST(input_is_empty),
	      TEST(flushing), TEST(no_files), TEST(any_type));
	return test_main(argc, argv, tests);
}
