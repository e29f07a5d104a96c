restream_unit_test(NAME serve
                   SOURCES serve_fixture.cpp serve_client.cpp serve_pure_test.cpp serve_frame_test.cpp serve_http_test.cpp serve_ws_test.cpp serve_stream_test.cpp serve_slow_test.cpp serve_slow_stream_test.cpp
                           serve_attach_test.cpp serve_conflate_test.cpp serve_filter_test.cpp serve_sse_test.cpp serve_tls_test.cpp serve_tokens_test.cpp
                   USES serve channel model ops
                   LINKS OpenSSL::SSL OpenSSL::Crypto nlohmann_json::nlohmann_json Threads::Threads Boost::boost)
