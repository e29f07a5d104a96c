# The fetcher plugins, loaded and called through the C contract by a host that answers from recorded samples.
restream_unit_test(NAME plugins ONE_THREAD
  SOURCES plugin_host.cpp plugin_oauth1_test.cpp plugin_nyt_top_test.cpp plugin_twitter_status_test.cpp
          plugin_lists_test.cpp plugin_sdk_test.cpp ../../plugins/twitter-status/oauth1.cpp
  LINKS restream::sdk OpenSSL::Crypto Threads::Threads ${CMAKE_DL_LIBS})
target_include_directories(unit-plugins PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
target_compile_definitions(unit-plugins PRIVATE TEST_SOURCE="${CMAKE_SOURCE_DIR}")
add_dependencies(unit-plugins plugin-nyt-top plugin-twitter-status plugin-list plugin-list-complete
  plugin-nats-connections)
