/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C's <tgmath.h> for machines whose compiler brings none: the compiler of a host leaves it to the host's C
 * library, and picolibc leaves it to the compiler. It comes last in the search, so a compiler's own is found
 * first.
 *
 * A function's name without a suffix means the one for its arguments' type: float, double or long double, and
 * the complex ones where there are such.
 */
#ifndef GUMP_TGMATH_H
#define GUMP_TGMATH_H

#include <complex.h>
#include <math.h>

#define GUMP_REAL_(name, ...) __builtin_tgmath(name##f, name, name##l, __VA_ARGS__)
#define GUMP_BOTH_(name, complex_name, ...) \
	__builtin_tgmath(name##f, name, name##l, complex_name##f, complex_name, complex_name##l, __VA_ARGS__)
#define GUMP_COMPLEX_(name, z) __builtin_tgmath(name##f, name, name##l, z)

#define acos(z) GUMP_BOTH_(acos, cacos, z)
#define asin(z) GUMP_BOTH_(asin, casin, z)
#define atan(z) GUMP_BOTH_(atan, catan, z)
#define acosh(z) GUMP_BOTH_(acosh, cacosh, z)
#define asinh(z) GUMP_BOTH_(asinh, casinh, z)
#define atanh(z) GUMP_BOTH_(atanh, catanh, z)
#define cos(z) GUMP_BOTH_(cos, ccos, z)
#define sin(z) GUMP_BOTH_(sin, csin, z)
#define tan(z) GUMP_BOTH_(tan, ctan, z)
#define cosh(z) GUMP_BOTH_(cosh, ccosh, z)
#define sinh(z) GUMP_BOTH_(sinh, csinh, z)
#define tanh(z) GUMP_BOTH_(tanh, ctanh, z)
#define exp(z) GUMP_BOTH_(exp, cexp, z)
#define log(z) GUMP_BOTH_(log, clog, z)
#define pow(z, power) GUMP_BOTH_(pow, cpow, z, power)
#define sqrt(z) GUMP_BOTH_(sqrt, csqrt, z)
#define fabs(z) GUMP_BOTH_(fabs, cabs, z)

#define atan2(y, x) GUMP_REAL_(atan2, y, x)
#define cbrt(x) GUMP_REAL_(cbrt, x)
#define ceil(x) GUMP_REAL_(ceil, x)
#define copysign(x, sign) GUMP_REAL_(copysign, x, sign)
#define erf(x) GUMP_REAL_(erf, x)
#define erfc(x) GUMP_REAL_(erfc, x)
#define exp2(x) GUMP_REAL_(exp2, x)
#define expm1(x) GUMP_REAL_(expm1, x)
#define fdim(x, y) GUMP_REAL_(fdim, x, y)
#define floor(x) GUMP_REAL_(floor, x)
#define fma(x, y, z) GUMP_REAL_(fma, x, y, z)
#define fmax(x, y) GUMP_REAL_(fmax, x, y)
#define fmin(x, y) GUMP_REAL_(fmin, x, y)
#define fmod(x, y) GUMP_REAL_(fmod, x, y)
#define frexp(x, exponent) GUMP_REAL_(frexp, x, exponent)
#define hypot(x, y) GUMP_REAL_(hypot, x, y)
#define ilogb(x) GUMP_REAL_(ilogb, x)
#define ldexp(x, exponent) GUMP_REAL_(ldexp, x, exponent)
#define lgamma(x) GUMP_REAL_(lgamma, x)
#define llrint(x) GUMP_REAL_(llrint, x)
#define llround(x) GUMP_REAL_(llround, x)
#define log10(x) GUMP_REAL_(log10, x)
#define log1p(x) GUMP_REAL_(log1p, x)
#define log2(x) GUMP_REAL_(log2, x)
#define logb(x) GUMP_REAL_(logb, x)
#define lrint(x) GUMP_REAL_(lrint, x)
#define lround(x) GUMP_REAL_(lround, x)
#define nearbyint(x) GUMP_REAL_(nearbyint, x)
#define nextafter(x, y) GUMP_REAL_(nextafter, x, y)
#define nexttoward(x, y) GUMP_REAL_(nexttoward, x, y)
#define remainder(x, y) GUMP_REAL_(remainder, x, y)
#define remquo(x, y, quotient) GUMP_REAL_(remquo, x, y, quotient)
#define rint(x) GUMP_REAL_(rint, x)
#define round(x) GUMP_REAL_(round, x)
#define scalbln(x, n) GUMP_REAL_(scalbln, x, n)
#define scalbn(x, n) GUMP_REAL_(scalbn, x, n)
#define tgamma(x) GUMP_REAL_(tgamma, x)
#define trunc(x) GUMP_REAL_(trunc, x)

#define carg(z) GUMP_COMPLEX_(carg, z)
#define cimag(z) GUMP_COMPLEX_(cimag, z)
#define conj(z) GUMP_COMPLEX_(conj, z)
#define cproj(z) GUMP_COMPLEX_(cproj, z)
#define creal(z) GUMP_COMPLEX_(creal, z)

#endif
