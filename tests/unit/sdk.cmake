restream_unit_test(NAME sdk ONE_THREAD SOURCES sdk_slice_test.cpp LINKS restream::sdk nlohmann_json::nlohmann_json)
