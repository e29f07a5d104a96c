restream_unit_test(NAME diff ONE_THREAD SOURCES diff_layout_test.cpp diff_patch_test.cpp diff_projection_test.cpp diff_slice_test.cpp USES diff LINKS nlohmann_json::nlohmann_json)
