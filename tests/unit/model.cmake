restream_unit_test(NAME model SOURCES model_test.cpp USES model)
