restream_unit_test(NAME host
  SOURCES host_lines_test.cpp host_calls_test.cpp host_faults_test.cpp host_http_test.cpp host_plugin_test.cpp host_life_test.cpp
          host_sandbox_test.cpp
  USES fetch wire LINKS restream::sdk nlohmann_json::nlohmann_json Boost::headers Threads::Threads)
add_dependencies(unit-host restream-fetcher-host abi-plugins plugin-burglar plugin-ignore-cancellation plugin-everyday older-kernel)
