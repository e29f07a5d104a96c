# The parts of restream-plugin that are worth a look by themselves; its verbs are tested end to end (tests/e2e/sdk_*).
restream_unit_test(NAME tool ONE_THREAD SOURCES tool_recording_test.cpp tool_bench_test.cpp
                   USES tool LINKS restream::sdk nlohmann_json::nlohmann_json Threads::Threads)
add_dependencies(unit-tool restream-fetcher-host abi-plugins)
