restream_unit_test(NAME config ONE_THREAD SOURCES config_test.cpp config_refusal_test.cpp config_tokens_test.cpp USES config model
                   LINKS nlohmann_json::nlohmann_json)
target_compile_definitions(unit-config PRIVATE
  PACKAGED_CONFIG="${CMAKE_CURRENT_LIST_DIR}/../../packaging/restream.yaml"
  MAN_PAGE="${CMAKE_CURRENT_LIST_DIR}/../../docs/man/restream.yaml.5.md"
  CONFIG_SOURCE="${CMAKE_CURRENT_LIST_DIR}/../../daemon/config/config.cpp")
