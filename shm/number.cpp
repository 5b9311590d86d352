// number.cpp - doubles as text, exactly as Python writes and reads them: a C shim over std::to_chars and
// std::from_chars, which are exact, independent of the locale, and tens of times faster than printf("%.17g").
#include "shm/number.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace {

constexpr int FIXED_FROM = -4, FIXED_BELOW = 16; // decimal exponents that Python writes without "e"

std::size_t put(char *text, const char *literal) {
    std::size_t length = std::strlen(literal);
    std::memcpy(text, literal, length + 1);
    return length;
}

// The shortest digits that round-trip, and the exponent of the first: value = d.ddd x 10^exponent.
struct Decimal {
    char digits[20];
    int count;
    int exponent;
};

Decimal shortest(double magnitude) {
    char text[LOOM_NUMBER_TEXT_BYTES];
    auto written = std::to_chars(text, text + sizeof text, magnitude, std::chars_format::scientific);
    Decimal decimal = {};
    const char *at = text;
    for (; at != written.ptr && *at != 'e'; at++)
        if (*at != '.') decimal.digits[decimal.count++] = *at;
    at++; // 'e'
    if (*at == '+') at++;
    std::from_chars(at, written.ptr, decimal.exponent);
    return decimal;
}

char *put_fixed(char *out, const Decimal &decimal) {
    int point = decimal.exponent + 1; // digits before the point
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = point; i < 0; i++)
            *out++ = '0';
        for (int i = 0; i < decimal.count; i++)
            *out++ = decimal.digits[i];
        return out;
    }
    for (int i = 0; i < point; i++)
        *out++ = i < decimal.count ? decimal.digits[i] : '0';
    *out++ = '.';
    if (decimal.count <= point) *out++ = '0';
    for (int i = point; i < decimal.count; i++)
        *out++ = decimal.digits[i];
    return out;
}

char *put_scientific(char *out, const Decimal &decimal) {
    *out++ = decimal.digits[0];
    if (decimal.count > 1) *out++ = '.';
    for (int i = 1; i < decimal.count; i++)
        *out++ = decimal.digits[i];
    *out++ = 'e';
    *out++ = decimal.exponent < 0 ? '-' : '+';
    int exponent = decimal.exponent < 0 ? -decimal.exponent : decimal.exponent;
    if (exponent >= 100) *out++ = static_cast<char>('0' + exponent / 100);
    *out++ = static_cast<char>('0' + exponent / 10 % 10);
    *out++ = static_cast<char>('0' + exponent % 10);
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Reads digits from `at`; returns how many.
std::size_t skip_digits(const char *&at, const char *end) {
    const char *start = at;
    while (at != end && is_digit(*at))
        at++;
    return static_cast<std::size_t>(at - start);
}

// [digits][.[digits]][e[sign]digits], at least one digit in front of the exponent.
bool is_decimal_literal(const char *at, const char *end) {
    std::size_t digits = skip_digits(at, end);
    if (at != end && *at == '.') {
        at++;
        digits += skip_digits(at, end);
    }
    if (digits == 0) return false;
    if (at != end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at != end && (*at == '+' || *at == '-')) at++;
        if (skip_digits(at, end) == 0) return false;
    }
    return at == end;
}

// Decides, for a literal that no double can hold, whether it is too large (else it is too small): the decimal
// exponent of its first digit that is not 0.
bool is_too_large(const char *at, const char *end) {
    std::int64_t leading = 0;
    bool seen_digit = false, seen_point = false;
    for (; at != end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            seen_point = true;
            continue;
        }
        seen_digit = seen_digit || *at != '0';
        if (seen_digit && !seen_point) leading++;
        if (!seen_digit && seen_point) leading--;
    }
    if (at == end) return leading > 0;
    at++;
    bool negative = at != end && *at == '-';
    if (at != end && (*at == '-' || *at == '+')) at++;
    constexpr std::int64_t enough = std::numeric_limits<std::int64_t>::max() / 4; // beyond any length of text
    std::int64_t exponent = 0;
    for (; at != end; at++)
        exponent = exponent > enough / 10 ? enough : exponent * 10 + (*at - '0');
    return leading + (negative ? -exponent : exponent) > 0;
}

} // namespace

size_t loom_number_repr(double value, char text[LOOM_NUMBER_TEXT_BYTES]) {
    if (std::isnan(value)) return put(text, "nan");
    if (std::isinf(value)) return put(text, value < 0 ? "-inf" : "inf");
    char *out = text;
    if (std::signbit(value)) *out++ = '-';
    Decimal decimal = shortest(std::fabs(value));
    bool fixed = decimal.exponent >= FIXED_FROM && decimal.exponent < FIXED_BELOW;
    out = fixed ? put_fixed(out, decimal) : put_scientific(out, decimal);
    *out = '\0';
    return static_cast<size_t>(out - text);
}

bool loom_number_parse(const char *text, size_t length, double *value) {
    const char *at = text, *end = text + length;
    bool negative = at != end && *at == '-';
    if (at != end && (*at == '-' || *at == '+')) at++;
    if (!is_decimal_literal(at, end)) return false;
    double magnitude = 0;
    auto read = std::from_chars(at, end, magnitude, std::chars_format::general);
    if (read.ec == std::errc::result_out_of_range)
        magnitude = is_too_large(at, end) ? std::numeric_limits<double>::infinity() : 0.0;
    else if (read.ec != std::errc() || read.ptr != end)
        return false;
    *value = negative ? -magnitude : magnitude;
    return true;
}
