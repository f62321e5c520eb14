# Turns the files of the status page into serve_assets.c. Included by src/CMakeLists.txt; run with -P
# it does the turning: cmake -DOUTPUT=... -DASSETS="url|type|file;..." -P serve_page.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  set(_text "/* made by serve_page.cmake */\n#include \"serve_assets.h\"\n\n")
  set(_rows "")
  set(_index 0)
  foreach(_asset ${ASSETS})
    string(REPLACE "|" ";" _asset "${_asset}")
    list(GET _asset 0 _url)
    list(GET _asset 1 _type)
    string(REPLACE "@" ";" _type "${_type}")
    list(GET _asset 2 _file)
    file(READ "${_file}" _bytes HEX)
    file(SHA256 "${_file}" _hash)
    string(SUBSTRING "${_hash}" 0 16 _hash)
    # 32 bytes per line; one pass each, because this is the slow part
    string(REGEX REPLACE "(................................................................)" "\\1\n" _bytes "${_bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," _bytes "${_bytes}")
    string(APPEND _text "static const uint8_t asset_${_index}[] = {\n${_bytes}\n};\n")
    string(APPEND _rows "    {\"${_url}\", \"${_type}\", \"\\\"${_hash}\\\"\", asset_${_index}, sizeof asset_${_index}},\n")
    math(EXPR _index "${_index} + 1")
  endforeach()
  string(APPEND _text "const struct serve_asset serve_assets[] = {\n${_rows}};\nconst size_t serve_asset_count = ${_index};\n")
  file(WRITE "${OUTPUT}" "${_text}")
  return()
endif()

# Chart.js of the distribution (Debian: libjs-chart.js); elsewhere the path of a chart.umd.js or
# chart.min.js, version 3 or 4, can be given.
find_file(MORAINE_CHART_JS NAMES chart.min.js chart.umd.js PATHS /usr/share/javascript/chart.js
  /usr/share/nodejs/chart.js/dist NO_DEFAULT_PATH DOC "Chart.js for the status page")
if(NOT MORAINE_CHART_JS)
  message(FATAL_ERROR "Chart.js is missing (Debian: libjs-chart.js). Elsewhere give its file: -DMORAINE_CHART_JS=/path/to/chart.umd.js")
endif()

set(_page "${CMAKE_CURRENT_LIST_DIR}/page")
set(_assets
  "/|text/html@ charset=utf-8|${_page}/index.html"
  "/moraine.css|text/css@ charset=utf-8|${_page}/moraine.css"
  "/moraine.js|text/javascript@ charset=utf-8|${_page}/moraine.js"
  "/icon.svg|image/svg+xml|${_page}/icon.svg"
  "/chart.js|text/javascript@ charset=utf-8|${MORAINE_CHART_JS}")
set(_assets_c "${CMAKE_CURRENT_BINARY_DIR}/serve_assets.c")
add_custom_command(OUTPUT "${_assets_c}"
  COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${_assets_c}" "-DASSETS=${_assets}" -P "${CMAKE_CURRENT_LIST_FILE}"
  DEPENDS "${CMAKE_CURRENT_LIST_FILE}" "${_page}/index.html" "${_page}/moraine.css" "${_page}/moraine.js"
    "${_page}/icon.svg" "${MORAINE_CHART_JS}"
  COMMENT "Embedding the status page" VERBATIM)
target_sources(moraine_serve PRIVATE "${_assets_c}")
