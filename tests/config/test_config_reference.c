#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "moraine/base/memory.h"
#include "moraine/config.h"

#define PAGE MORAINE_TEST_DATA "/../../docs/configuration.md"

// MORAINE_UPDATE_EXPECTED=1 writes the page instead of comparing it.
static void manual_page_is_what_the_tables_print(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t printed_size = 0;
    FILE *memory = open_memstream(&printed, &printed_size);
    mor_config_print_reference(memory);
    fclose(memory);
    if (getenv("MORAINE_UPDATE_EXPECTED")) {
        FILE *page = fopen(PAGE, "w");
        assert_non_null(page);
        fputs(printed, page);
        fclose(page);
    }
    FILE *page = fopen(PAGE, "r");
    assert_non_null(page);
    char *text = mor_calloc(1, printed_size + 2);
    size_t size = fread(text, 1, printed_size + 1, page);
    fclose(page);
    assert_int_equal(size, printed_size);
    assert_string_equal(text, printed);
    free(text);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(manual_page_is_what_the_tables_print)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
