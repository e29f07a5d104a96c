restream_unit_test(NAME elf ONE_THREAD SOURCES elf_test.cpp ../../fetcher-host/elf_extents.cpp)
target_include_directories(unit-elf PRIVATE ${CMAKE_SOURCE_DIR}/fetcher-host)
add_dependencies(unit-elf plugin-list)
