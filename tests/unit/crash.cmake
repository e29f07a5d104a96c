restream_unit_test(NAME crash ONE_THREAD SOURCES fetch_crash_test.cpp USES fetch LINKS restream::sdk Boost::headers)
add_dependencies(unit-crash restream-fetcher-host abi-plugins)
