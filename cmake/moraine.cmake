# One CMake target per module. A module sees the public headers (include/) and its own folder; another
# module's private headers do not resolve.
#
#   moraine_module(avro DEPS column LIBS PkgConfig::JANSSON)
function(moraine_module name)
  cmake_parse_arguments(M "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE _sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
  if(NOT _sources)
    add_library(moraine_${name} INTERFACE)
    set(_scope INTERFACE)
  else()
    add_library(moraine_${name} STATIC ${_sources})
    target_include_directories(moraine_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/${name})
    set(_scope PUBLIC)
  endif()
  target_include_directories(moraine_${name} ${_scope} ${CMAKE_SOURCE_DIR}/include)
  list(TRANSFORM M_DEPS PREPEND moraine_)
  target_link_libraries(moraine_${name} ${_scope} ${M_DEPS} ${M_LIBS} Threads::Threads)
endfunction()

# Every tests/<module>/test_*.c is one cmocka binary and one ctest test named <module>.<file>.
function(moraine_tests module)
  file(GLOB _tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${module}/test_*.c)
  foreach(_test ${_tests})
    get_filename_component(_name ${_test} NAME_WE)
    add_executable(${_name} ${_test})
    target_link_libraries(${_name} PRIVATE moraine_${module} PkgConfig::CMOCKA ${ARGN})
    target_include_directories(${_name} PRIVATE ${CMAKE_SOURCE_DIR}/src/${module} ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(${_name} PRIVATE MORAINE_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data"
      MORAINE_GOLDEN="${CMAKE_SOURCE_DIR}/../shared/golden")
    target_compile_options(${_name} PRIVATE -Wno-missing-prototypes)
    string(REGEX REPLACE "^test_" "" _short ${_name})
    add_test(NAME ${module}.${_short} COMMAND ${_name} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    # exit code 77 means "skipped: why"; ctest counts it in its summary
    set_tests_properties(${module}.${_short} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
  endforeach()
endfunction()
