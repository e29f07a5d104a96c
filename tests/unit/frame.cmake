restream_unit_test(NAME frame ONE_THREAD SOURCES frame_test.cpp frame_deflate_test.cpp USES channel LINKS nlohmann_json::nlohmann_json)
