// Rows of a table as JSON objects, one per line.
//
//   hudi_table_scan LOCATION [COLUMN,COLUMN | "" [VERSION]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moraine/merge.h"

static void check(enum mor_status status, const struct mor_error *err, const char *what)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, mor_status_name(status), err->message);
    exit(1);
}

static void print_rows(const struct mor_batch *batch)
{
    MOR_AUTO_BUFFER text = {0};
    for (size_t row = 0; row < batch->row_count; row++) {
        mor_buffer_reset(&text);
        for (size_t i = 0; i < batch->column_count; i++) {
            mor_buffer_printf(&text, "%c\"%s\":", i ? ',' : '{', batch->columns[i].field->name);
            if (mor_vector_is_null(&batch->columns[i], row))
                mor_buffer_append_text(&text, "null");
            else
                mor_vector_format_json(&batch->columns[i], row, &text);
        }
        printf("%s}\n", mor_buffer_terminate(&text));
    }
}

int main(int argc, char **argv)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_table *table = NULL;
    struct mor_scan *scan = NULL;
    const char *columns[256];
    struct mor_scan_options options = {.columns = columns, .version = argc > 3 ? argv[3] : NULL};
    if (argc < 2)
        return 2;
    char *rest = argc > 2 ? argv[2] : NULL;
    for (char *part; (part = strsep(&rest, ",")) != NULL && options.column_count < 256;) {
        if (*part)
            columns[options.column_count++] = part;
    }
    check(mor_table_open_read(argv[1], NULL, &table, &err), &err, "open");
    check(mor_scan_open(table, &options, &scan, &err), &err, "scan");
    struct mor_batch *batch = mor_batch_new(mor_scan_schema(scan), NULL);
    do {
        check(mor_scan_next(scan, batch, &err), &err, "next");
        check(mor_batch_validate(batch, &err), &err, "batch");
        print_rows(batch);
    } while (batch->row_count > 0);
    mor_batch_free(batch);
    mor_scan_free(scan);
    mor_table_free(table);
    return 0;
}
