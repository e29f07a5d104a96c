restream_unit_test(NAME sdk SOURCES sdk_slice_test.cpp LINKS restream::sdk nlohmann_json::nlohmann_json)
