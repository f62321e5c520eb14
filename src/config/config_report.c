#include <stdarg.h>
#include <stdio.h>

#include "config_loader.h"

__attribute__((format(printf, 4, 0))) static void note(struct mor_config_loader *loader,
                                                       struct mor_place place, bool is_error,
                                                       const char *format, va_list list)
{
    struct mor_config_report *report = loader->report;
    size_t *count = is_error ? &report->error_count : &report->warning_count;
    if (*count >= MOR_CONFIG_ERRORS_MAX)
        return;
    (*count)++;
    MOR_AUTO_FREE char *message = mor_vasprintf(format, list);
    report->notes = mor_realloc(report->notes, (report->count + 1) * sizeof *report->notes);
    report->notes[report->count++] = (struct mor_config_note){
        .is_error = is_error,
        .text = place.line > 0
                    ? mor_asprintf("%s:%lld:%lld: %s", loader->file, (long long)place.line,
                                   (long long)place.column, message)
                    : mor_asprintf("%s: %s", loader->file, message),
    };
}

void mor_config_error(struct mor_config_loader *loader, struct mor_place place, const char *format,
                      ...)
{
    va_list list;
    va_start(list, format);
    note(loader, place, true, format, list);
    va_end(list);
}

void mor_config_warning(struct mor_config_loader *loader, struct mor_place place,
                        const char *format, ...)
{
    va_list list;
    va_start(list, format);
    note(loader, place, false, format, list);
    va_end(list);
}

void mor_config_report_done(struct mor_config_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->notes[i].text);
    free(report->notes);
    *report = (struct mor_config_report){0};
}
