// A store in a fresh directory, shared by the tests of this module.
#ifndef STORAGE_TEST_H
#define STORAGE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "moraine/storage.h"

struct storage_fixture {
    char root[64];
    struct mor_store *store;
    struct mor_error err;
};

static inline int storage_setup(void **state)
{
    struct storage_fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->root, sizeof fixture->root, "/tmp/moraine-storage-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    fixture->err = MOR_ERROR_INIT;
    assert_int_equal(mor_store_open(fixture->root, false, &fixture->store, &fixture->err), MOR_OK);
    *state = fixture;
    return 0;
}

static inline int storage_teardown(void **state)
{
    struct storage_fixture *fixture = *state;
    mor_store_free(fixture->store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->root);
    int failed = system(command);
    free(fixture);
    return failed;
}

#endif
