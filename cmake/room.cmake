# restream_room(NAME SOURCES a.cpp … USES model … LINKS lib …)
#
# A room is one folder of the project built as a static library. Its headers are reached as "NAME/file.hpp", and only
# by rooms that say USES NAME: each room's include root is a folder of its own that holds nothing but a link to it. So
# an include that crosses a wall of the design does not compile.
function(restream_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LINKS;PUBLIC_LINKS" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(restream_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(restream_${name} PUBLIC ${root})
  list(TRANSFORM ROOM_USES PREPEND restream_ OUTPUT_VARIABLE uses)
  target_link_libraries(restream_${name} PUBLIC ${uses} ${ROOM_PUBLIC_LINKS} PRIVATE restream_options ${ROOM_LINKS})
endfunction()
