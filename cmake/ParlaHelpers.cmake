# The helpers that the folders' CMakeLists.txt are written with.

# parla_library(NAME crosspy HEADERS_BASE dir HEADERS files…): a shared library `NAME` with hidden symbols and a static one,
# `NAME_testing`, with every symbol, test points and access to the folder's src/. Sources come from parla_sources().
function(parla_library)
  cmake_parse_arguments(arg "" "NAME;EXPORT_NAME;HEADERS_BASE" "HEADERS" ${ARGN})
  add_library(${arg_NAME} SHARED)
  add_library(Parla::${arg_EXPORT_NAME} ALIAS ${arg_NAME})
  target_sources(${arg_NAME} PUBLIC FILE_SET HEADERS BASE_DIRS ${arg_HEADERS_BASE} FILES ${arg_HEADERS})
  target_link_libraries(${arg_NAME} PRIVATE $<BUILD_INTERFACE:parla_options>)
  target_include_directories(${arg_NAME} PRIVATE src)
  if(NOT PARLA_SANITIZE)
    target_link_options(${arg_NAME} PRIVATE -Wl,--no-undefined)
  endif()
  set_target_properties(${arg_NAME} PROPERTIES C_VISIBILITY_PRESET hidden EXPORT_NAME ${arg_EXPORT_NAME} INSTALL_RPATH "$ORIGIN")
  if(NOT SKBUILD) # a wheel cannot hold links, so the library inside it has one plain name
    set_target_properties(${arg_NAME} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  endif()
  install(TARGETS ${arg_NAME} EXPORT parla-${arg_EXPORT_NAME}-targets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT devel
          FILE_SET HEADERS COMPONENT devel)
  install(EXPORT parla-${arg_EXPORT_NAME}-targets NAMESPACE Parla:: DESTINATION ${PARLA_PACKAGE_DIR} COMPONENT devel)

  if(PARLA_BUILD_TESTS)
    add_library(${arg_NAME}_testing STATIC)
    target_compile_definitions(${arg_NAME}_testing PUBLIC PL_TESTING)
    target_include_directories(${arg_NAME}_testing PUBLIC src ${arg_HEADERS_BASE})
    target_link_libraries(${arg_NAME}_testing PRIVATE parla_options)
    set_target_properties(${arg_NAME}_testing PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
endfunction()

# parla_sources(library files…): sources of a library made by parla_library, for both of its forms.
function(parla_sources name)
  target_sources(${name} PRIVATE ${ARGN})
  if(PARLA_BUILD_TESTS)
    target_sources(${name}_testing PRIVATE ${ARGN})
  endif()
endfunction()

# parla_link(library libraries…): what the sources of a library need, for both of its forms. The test form links the test forms of
# our own libraries, so that a test program holds each library once.
function(parla_link name)
  target_link_libraries(${name} PRIVATE ${ARGN})
  if(PARLA_BUILD_TESTS)
    foreach(library IN LISTS ARGN)
      if(TARGET ${library}_testing)
        set(library ${library}_testing)
      endif()
      target_link_libraries(${name}_testing PUBLIC ${library})
    endforeach()
  endif()
endfunction()

# parla_test(file.c [SOURCES more…] [LIBS targets…] [LABEL quick|stress] [TIMEOUT s]): a test program on the harness, named after its
# folder and file: unit/test_map.c is the target test_map and the test unit.map; in a folder called tests the parent's name counts. It
# links parla_testing unless LIBS names others.
function(parla_test file)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  get_filename_component(program "${file}" NAME_WE)
  get_filename_component(folder "${file}" DIRECTORY)
  string(REGEX REPLACE "^test_" "" short ${program})
  if(folder STREQUAL "tests")
    get_filename_component(folder "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  endif()
  if(NOT arg_LIBS)
    set(arg_LIBS parla_testing)
  endif()
  if(NOT arg_LABEL)
    set(arg_LABEL quick)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${program} ${file} ${arg_SOURCES})
  target_link_libraries(${program} PRIVATE parla_options parla_harness ${arg_LIBS})
  add_test(NAME ${folder}.${short} COMMAND ${program})
  set_tests_properties(${folder}.${short} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# The interpreter that the extensions are built for: the project's virtual environment where there is one.
macro(parla_find_python)
  if(NOT Python3_EXECUTABLE AND NOT SKBUILD AND EXISTS "${PROJECT_SOURCE_DIR}/build/venv/bin/python")
    set(Python3_EXECUTABLE "${PROJECT_SOURCE_DIR}/build/venv/bin/python")
  endif()
  find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
endmacro()

# parla_python_extension(NAME parla EXTENSION _parla RPATH path LIBS targets… SOURCES files…): an extension of the package NAME, built into
# the importable tree <build>/python/NAME, and into the package of a wheel.
function(parla_python_extension)
  cmake_parse_arguments(arg "" "NAME;EXTENSION;RPATH" "LIBS;SOURCES" ${ARGN})
  python3_add_library(${arg_EXTENSION} MODULE WITH_SOABI ${arg_SOURCES})
  target_link_libraries(${arg_EXTENSION} PRIVATE parla_options parla_extension_options ${arg_LIBS})
  set_target_properties(
    ${arg_EXTENSION} PROPERTIES C_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/${arg_NAME}"
                                INSTALL_RPATH "${arg_RPATH}")
  if(SKBUILD)
    install(TARGETS ${arg_EXTENSION} LIBRARY DESTINATION ${arg_NAME} COMPONENT python)
  endif()
endfunction()

# parla_python_package(NAME parla EXTENSION _parla FOLDER dir RPATH path LIBS targets… SOURCES files…): the package's own extension, and links
# to its .py files beside it. In a wheel only the extension is installed from here: the .py files are listed in pyproject.toml.
function(parla_python_package)
  cmake_parse_arguments(arg "" "NAME;EXTENSION;FOLDER;RPATH" "LIBS;SOURCES" ${ARGN})
  parla_python_extension(NAME ${arg_NAME} EXTENSION ${arg_EXTENSION} RPATH ${arg_RPATH} LIBS ${arg_LIBS} SOURCES ${arg_SOURCES})
  add_custom_target(
    ${arg_EXTENSION}_tree ALL
    COMMAND ${CMAKE_COMMAND} -DFROM=${arg_FOLDER} -DTO=${PROJECT_BINARY_DIR}/python/${arg_NAME} -P
            "${PROJECT_SOURCE_DIR}/cmake/LinkPythonFiles.cmake"
    COMMENT "Linking the Python files of ${arg_NAME}")
endfunction()

# parla_pytest(name folder): runs the pytest files of a folder as one test.
function(parla_pytest name folder)
  if(PARLA_BUILD_TESTS)
    add_test(NAME python.${name} COMMAND Python3::Interpreter -m pytest -q -p no:cacheprovider "${folder}")
    set_tests_properties(python.${name} PROPERTIES LABELS python TIMEOUT 300 ENVIRONMENT "PYTHONPATH=${PROJECT_BINARY_DIR}/python")
  endif()
endfunction()

# parla_fakecuda(test…): these tests find the CUDA driver in host memory (ctest/fakecuda) instead of a real one.
function(parla_fakecuda)
  if(PARLA_CUDA)
    set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT "LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/ctest/fakecuda:$ENV{LD_LIBRARY_PATH}")
  endif()
endfunction()
