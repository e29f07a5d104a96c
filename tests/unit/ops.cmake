restream_unit_test(NAME ops SOURCES ops_log_test.cpp ops_metrics_test.cpp USES ops LINKS Threads::Threads)
