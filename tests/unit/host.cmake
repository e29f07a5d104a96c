restream_unit_test(NAME host
  SOURCES host_lines_test.cpp host_calls_test.cpp host_faults_test.cpp host_http_test.cpp host_life_test.cpp
  USES fetch wire LINKS restream::sdk Boost::headers Threads::Threads)
add_dependencies(unit-host restream-fetcher-host abi-plugins)
