#include "check.h"
#include "table_format.h"

static void assert_carried(const char *value, const char *expected)
{
    char *carried = mor_property_carried(value);
    assert_string_equal(carried, expected);
    free(carried);
}

static void members_of_the_own_commit_are_emptied(void **state)
{
    (void)state;
    assert_carried(
        "{\"v\":1,\"ranges\":{\"0\":[1,2]},\"rows\":{\"read\":5,\"dead\":1},\"late\":3,"
        "\"refused\":[\"0:1\"],\"own\":[\"ranges\",\"rows\",\"late\",\"refused\",\"absent\"],"
        "\"offsets\":{\"0\":[2,4]}}",
        "{\"v\":1,\"ranges\":{},\"rows\":{\"read\":0,\"dead\":0},\"late\":0,"
        "\"refused\":[],\"own\":[\"ranges\",\"rows\",\"late\",\"refused\",\"absent\"],"
        "\"offsets\":{\"0\":[2,4]}}");
}

static void other_values_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const values[] = {"",         "orders,0:100",        "{\"a\": 1}",
                                         "\"own\"",  "{\"own\":5,\"a\":1}", "{\"own\":[",
                                         "[\"own\"]"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_carried(values[i], values[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_the_own_commit_are_emptied),
        cmocka_unit_test(other_values_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
