# The keystore, and the command as a real process.
restream_unit_test(NAME keys ONE_THREAD
  SOURCES keys_support.cpp keys_format_test.cpp keys_vector_test.cpp keys_store_test.cpp keys_command_test.cpp
          keys_terminal_test.cpp keys_crash_test.cpp
  USES keys LINKS util)
target_include_directories(unit-keys PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/unit)
target_compile_definitions(unit-keys PRIVATE RESTREAM_KEYS="$<TARGET_FILE:restream-keys>")
add_dependencies(unit-keys restream-keys)
