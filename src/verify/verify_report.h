// Findings as they are collected.
#ifndef MORAINE_VERIFY_REPORT_H
#define MORAINE_VERIFY_REPORT_H

#include "moraine/verify.h"

// Where a finding lies; NULL and -1 = not there. VERIFY_NOWHERE is a start.
struct mor_verify_place {
    const char *version, *file;
    int32_t partition;
    int64_t offset_first, offset_next;
};
#define VERIFY_NOWHERE                                                                             \
    ((struct mor_verify_place){.partition = -1, .offset_first = -1, .offset_next = -1})

struct mor_verify_report *mor_verify_report_new(void);
// `kind` is a constant. Texts are copied.
void mor_verify_report_add(struct mor_verify_report *report, enum mor_verify_check_name check,
                           bool is_warning, const char *kind, const struct mor_verify_place *place,
                           const char *format, ...) __attribute__((format(printf, 6, 7)));
// Adds to a number of what was looked at; `name` is a constant.
void mor_verify_report_count(struct mor_verify_report *report, enum mor_verify_check_name check,
                             const char *name, int64_t more);
// Why a check, or a part of it, could not be made.
void mor_verify_report_why_not(struct mor_verify_report *report, enum mor_verify_check_name check,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
