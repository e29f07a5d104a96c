restream_unit_test(NAME commit SOURCES commit_flood_test.cpp commit_kill_test.cpp commit_missing_test.cpp commit_rules_test.cpp commit_thread_test.cpp
                   USES channel store LINKS nlohmann_json::nlohmann_json Threads::Threads)
