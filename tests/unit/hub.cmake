restream_unit_test(NAME hub SOURCES hub_test.cpp hub_filter_test.cpp hub_frames_test.cpp hub_history_test.cpp hub_memory_test.cpp USES channel ops LINKS nlohmann_json::nlohmann_json Boost::headers)
