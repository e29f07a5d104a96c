# What becomes of keys in memory; a program of its own, because it looks into every piece of memory that is given back.
restream_unit_test(NAME hygiene SOURCES hygiene_test.cpp hygiene_core_test.cpp
  USES fetch keyring ops LINKS restream::sdk nlohmann_json::nlohmann_json Boost::headers Threads::Threads)
target_compile_definitions(unit-hygiene PRIVATE
  RESTREAM_KEYS="$<TARGET_FILE:restream-keys>" RESTREAMD="$<TARGET_FILE:restreamd>")
add_dependencies(unit-hygiene restreamd restream-keys restream-fetcher-host abi-plugins)
