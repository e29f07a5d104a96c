restream_unit_test(NAME fetch SOURCES fetch_schedule_test.cpp fetch_adaptive_test.cpp fetch_status_test.cpp
                   fetch_metadata_test.cpp fetch_fetcher_test.cpp fetch_keys_test.cpp fetch_versions_test.cpp fetch_polls_test.cpp fetch_poll_now_test.cpp fetch_pinned_test.cpp fetch_files_test.cpp
                   fetch_directory_test.cpp fetch_status_items_test.cpp fetch_scan_test.cpp fetch_quota_test.cpp
                   fetch_quota_days_test.cpp fetch_quota_terms_test.cpp fetch_quota_paged_test.cpp fetch_timers_test.cpp fetch_pause_test.cpp
                   USES fetch LINKS restream::sdk nlohmann_json::nlohmann_json Boost::headers)
