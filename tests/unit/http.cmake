restream_unit_test(NAME http SOURCES http_test.cpp http_limits_test.cpp http_origin_test.cpp http_tls_test.cpp
                   http_cache_test.cpp http_budget_test.cpp http_connect_test.cpp
                   USES http model LINKS ZLIB::ZLIB Threads::Threads)
