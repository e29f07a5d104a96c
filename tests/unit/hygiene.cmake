# What becomes of keys in memory; a program of its own, because it looks into every piece of memory that is given back.
restream_unit_test(NAME hygiene SOURCES hygiene_test.cpp
  USES fetch keyring ops LINKS restream::sdk nlohmann_json::nlohmann_json Boost::headers Threads::Threads)
add_dependencies(unit-hygiene restream-fetcher-host abi-plugins)
