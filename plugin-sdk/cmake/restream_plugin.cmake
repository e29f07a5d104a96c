# What makes fetcher plugins, the same in restream's own build and in a project that found the package restream-sdk.
#
#   restream_plugin(NAME SOURCES … [LINKS lib …] [DIRECTORY where])
#     NAME.so from C or C++ sources, as target plugin-NAME. It exports the contract's three symbols and nothing else.
#
#   restream_rust_plugin(NAME SOURCE file.rs [DEPENDS file …] [DIRECTORY where])
#     NAME.so from Rust, by rustc alone, as target plugin-NAME.
#
# The built file is named by the property RESTREAM_PLUGIN_FILE of its target:
#   get_target_property(file plugin-my-fetcher RESTREAM_PLUGIN_FILE)

set(RESTREAM_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/exports.map CACHE INTERNAL "What a plugin exports")
set(RESTREAM_RUST_ABI ${CMAKE_CURRENT_LIST_DIR}/restream.rs CACHE INTERNAL "The contract for Rust")

function(restream_plugin name)
  cmake_parse_arguments(PLUGIN "" "DIRECTORY" "SOURCES;LINKS" ${ARGN})
  if(NOT PLUGIN_SOURCES)
    message(FATAL_ERROR "restream_plugin(${name}): say what it is made of: SOURCES file.cpp …")
  endif()
  if(NOT PLUGIN_DIRECTORY)
    cmake_path(APPEND CMAKE_BINARY_DIR ${RESTREAM_PLUGIN_SUBDIRECTORY} OUTPUT_VARIABLE PLUGIN_DIRECTORY)
  endif()
  add_library(plugin-${name} MODULE ${PLUGIN_SOURCES})
  # RESTREAM_PLUGIN_LINKS: what all plugins of a project link, such as its warnings.
  target_link_libraries(plugin-${name} PRIVATE restream::sdk ${RESTREAM_PLUGIN_LINKS} ${PLUGIN_LINKS})
  target_link_options(plugin-${name} PRIVATE -Wl,--version-script=${RESTREAM_EXPORTS} -Wl,--no-undefined)
  cmake_path(ABSOLUTE_PATH PLUGIN_DIRECTORY NORMALIZE)
  set_target_properties(plugin-${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${PLUGIN_DIRECTORY}
    RESTREAM_PLUGIN_FILE ${PLUGIN_DIRECTORY}/${name}.so
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()

function(restream_rust_plugin name)
  cmake_parse_arguments(PLUGIN "" "DIRECTORY;SOURCE" "DEPENDS" ${ARGN})
  find_program(RESTREAM_RUSTC rustc)
  if(NOT RESTREAM_RUSTC)
    message(FATAL_ERROR "restream_rust_plugin(${name}): there is no rustc (Debian: apt-get install rustc)")
  endif()
  if(NOT PLUGIN_DIRECTORY)
    cmake_path(APPEND CMAKE_BINARY_DIR ${RESTREAM_PLUGIN_SUBDIRECTORY} OUTPUT_VARIABLE PLUGIN_DIRECTORY)
  endif()
  set(source ${PLUGIN_SOURCE})
  cmake_path(ABSOLUTE_PATH source NORMALIZE)
  cmake_path(ABSOLUTE_PATH PLUGIN_DIRECTORY NORMALIZE)
  set(file ${PLUGIN_DIRECTORY}/${name}.so)
  string(MAKE_C_IDENTIFIER ${name} crate)
  add_custom_command(OUTPUT ${file}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PLUGIN_DIRECTORY}
    # `include!(env!("RESTREAM_RS"))` is how a source gets at the contract.
    COMMAND ${CMAKE_COMMAND} -E env RESTREAM_RS=${RESTREAM_RUST_ABI}
            ${RESTREAM_RUSTC} --edition 2021 --crate-type cdylib --crate-name ${crate} -O -D warnings -o ${file} ${source}
    DEPENDS ${source} ${RESTREAM_RUST_ABI} ${PLUGIN_DEPENDS} VERBATIM COMMENT "Building Rust plugin ${name}.so")
  add_custom_target(plugin-${name} ALL DEPENDS ${file})
  set_target_properties(plugin-${name} PROPERTIES RESTREAM_PLUGIN_FILE ${file})
endfunction()
