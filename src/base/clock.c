#include "moraine/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL
#define US_PER_S  1000000LL
#define S_PER_DAY 86400LL

static int64_t read_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t mor_clock_wall_ms(void)
{
    return read_clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t mor_clock_mono_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t mor_clock_mono_ms(void)
{
    return mor_clock_mono_ns() / NS_PER_MS;
}

int64_t mor_clock_thread_cpu_ns(void)
{
    return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

// Eras of 400 years with the year starting in March, so that leap days come last.
int64_t mor_days_from_civil(struct mor_civil date)
{
    int64_t year = date.year - (date.month <= 2 ? 1 : 0);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct mor_civil mor_civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t calendar_month = month < 10 ? month + 3 : month - 9;
    int64_t year = year_of_era + era * 400 + (calendar_month <= 2 ? 1 : 0);
    return (struct mor_civil){(int32_t)year, (int32_t)calendar_month, (int32_t)day};
}

// Reads exactly `count` digits; -1 when one of them is not.
static int32_t digits(const char *text, size_t count)
{
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int32_t days_in_month(int32_t year, int32_t month)
{
    static const int8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool mor_parse_date(const char *text, size_t length, int64_t *ret_days)
{
    if (length != 10 || text[4] != '-' || text[7] != '-')
        return false;
    struct mor_civil date = {digits(text, 4), digits(text + 5, 2), digits(text + 8, 2)};
    if (date.year < 0 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month))
        return false;
    *ret_days = mor_days_from_civil(date);
    return true;
}

// Seconds east of UTC from "Z", "+hh:mm", "+hhmm" or "+hh". False when it is none of them.
static bool parse_zone(const char *text, size_t length, int64_t *ret_seconds)
{
    if (length == 1 && (text[0] == 'Z' || text[0] == 'z')) {
        *ret_seconds = 0;
        return true;
    }
    if (length < 3 || (text[0] != '+' && text[0] != '-'))
        return false;
    int32_t hours = digits(text + 1, 2);
    int32_t minutes = 0;
    if (length == 6 && text[3] == ':')
        minutes = digits(text + 4, 2);
    else if (length == 5)
        minutes = digits(text + 3, 2);
    else if (length != 3)
        return false;
    if (hours < 0 || hours > 18 || minutes < 0 || minutes > 59)
        return false;
    int64_t seconds = hours * 3600 + minutes * 60;
    *ret_seconds = text[0] == '-' ? -seconds : seconds;
    return true;
}

bool mor_parse_timestamp(const char *text, size_t length, int64_t *ret_us)
{
    int64_t days;
    if (length < 16 || !mor_parse_date(text, 10, &days) ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':')
        return false;
    int32_t hour = digits(text + 11, 2);
    int32_t minute = digits(text + 14, 2);
    int32_t second = 0;
    size_t at = 16;
    int64_t fraction_us = 0;
    if (at < length && text[at] == ':') {
        if (length < 19)
            return false;
        second = digits(text + 17, 2);
        at = 19;
        if (at < length && (text[at] == '.' || text[at] == ',')) {
            int64_t unit = 100000;
            size_t first = ++at;
            while (at < length && text[at] >= '0' && text[at] <= '9') {
                fraction_us += (text[at] - '0') * unit;
                unit /= 10;
                at++;
            }
            if (at == first)
                return false;
        }
    }
    // a leap second is read as the first of the next minute
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    int64_t zone_seconds = 0;
    if (at < length && !parse_zone(text + at, length - at, &zone_seconds))
        return false;
    int64_t seconds = days * S_PER_DAY + hour * 3600 + minute * 60 + second - zone_seconds;
    *ret_us = seconds * US_PER_S + fraction_us;
    return true;
}

size_t mor_format_date(int64_t days, char *ret_text, size_t capacity)
{
    struct mor_civil date = mor_civil_from_days(days);
    int length = snprintf(ret_text, capacity, "%04d-%02d-%02d", date.year, date.month, date.day);
    return length < 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity - 1;
}

size_t mor_format_timestamp(int64_t us, char *ret_text, size_t capacity)
{
    int64_t seconds = us / US_PER_S;
    int64_t fraction = us % US_PER_S;
    if (fraction < 0) {
        fraction += US_PER_S;
        seconds--;
    }
    int64_t days = seconds / S_PER_DAY;
    int64_t rest = seconds % S_PER_DAY;
    if (rest < 0) {
        rest += S_PER_DAY;
        days--;
    }
    struct mor_civil date = mor_civil_from_days(days);
    int length =
        snprintf(ret_text, capacity, "%04d-%02d-%02dT%02d:%02d:%02d", date.year, date.month,
                 date.day, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    if (length > 0 && fraction != 0)
        length += snprintf(ret_text + length, capacity - (size_t)length, ".%06d", (int)fraction);
    if (length > 0)
        length += snprintf(ret_text + length, capacity - (size_t)length, "Z");
    return length < 0 ? 0 : (size_t)length;
}
