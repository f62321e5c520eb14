# Installation (`cmake --install build --prefix ...`) and the Debian package (`cpack -G DEB` in the build folder).
include(GNUInstallDirs)

if(TARGET moraine)
  install(TARGETS moraine RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# Where /etc and systemd's folders are depends on the prefix, which may only be known when installing: below /usr they
# are the system's, elsewhere they are the prefix's own. The unit names the program by its full path.
install(CODE [[
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(_etc /etc)
  else()
    set(_etc "${CMAKE_INSTALL_PREFIX}/etc")
  endif()
]])
install(CODE "set(_source \"${CMAKE_CURRENT_SOURCE_DIR}\")\nset(_scratch \"${CMAKE_CURRENT_BINARY_DIR}/install\")\n")
install(CODE [[
  file(READ "${_source}/systemd/moraine.service" _unit)
  string(REPLACE "/usr/bin/moraine" "${CMAKE_INSTALL_PREFIX}/bin/moraine" _unit "${_unit}")
  string(REPLACE "/usr/share/doc" "${CMAKE_INSTALL_PREFIX}/share/doc" _unit "${_unit}")
  string(REPLACE "/etc/moraine/" "${_etc}/moraine/" _unit "${_unit}")
  file(WRITE "${_scratch}/moraine.service" "${_unit}")
  file(INSTALL "${_scratch}/moraine.service" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  file(INSTALL "${_source}/systemd/moraine.sysusers" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/sysusers.d"
    RENAME moraine.conf)
  if(NOT EXISTS "$ENV{DESTDIR}${_etc}/moraine/moraine.yaml") # never over the operator's own
    file(INSTALL "${_source}/conf/moraine.yaml" DESTINATION "${_etc}/moraine")
  endif()
  file(MAKE_DIRECTORY "$ENV{DESTDIR}${_etc}/moraine/topics" "$ENV{DESTDIR}${_etc}/moraine/secrets")
  file(CHMOD "$ENV{DESTDIR}${_etc}/moraine/secrets" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
]])

# The topic file is a sample beside the documents: below /etc it would be a topic that nobody has.
install(FILES conf/topics/orders.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/topics)
foreach(_document README.md ARCHITECTURE.md LICENSE CHANGELOG.md)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_document}")
    install(FILES ${_document} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "*.yaml"
  PATTERN "grafana-*.json" PATTERN "*.png")
install(FILES systemd/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Debian wants the changelog compressed, and without a time inside.
install(CODE [[
  execute_process(COMMAND gzip -9 -n -c "${_source}/systemd/debian/changelog" OUTPUT_FILE "${_scratch}/changelog.Debian.gz"
    COMMAND_ERROR_IS_FATAL ANY)
  file(INSTALL "${_scratch}/changelog.Debian.gz" DESTINATION "${CMAKE_INSTALL_PREFIX}/share/doc/moraine")
]])

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME moraine)
set(CPACK_PACKAGE_VENDOR moraine)
# As everywhere on Debian, whoever builds the package answers for it.
set(_name "$ENV{DEBFULLNAME}")
set(_mail "$ENV{DEBEMAIL}")
foreach(_one name email)
  execute_process(COMMAND git config user.${_one} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE _git_${_one}
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endforeach()
if(NOT _name)
  set(_name "${_git_name}")
endif()
if(NOT _mail)
  set(_mail "${_git_email}")
endif()
if(NOT _name OR NOT _mail)
  cmake_host_system_information(RESULT _host QUERY FQDN)
  set(_name "moraine")
  set(_mail "root@${_host}")
endif()
set(MORAINE_MAINTAINER "${_name} <${_mail}>" CACHE STRING "who answers for the package")
set(CPACK_PACKAGE_CONTACT "${MORAINE_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "moraine is one program, run as a service, that turns Kafka topics into lakehouse tables.
Rows arrive exactly once, updates and deletes are merged on read, and the table
itself says how complete it is. Spark and hudi-rs read it as their own.")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, ca-certificates")
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(_debian "${CMAKE_CURRENT_SOURCE_DIR}/systemd/debian")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${_debian}/conffiles;${_debian}/postinst;${_debian}/prerm;${_debian}/postrm")
include(CPack)
