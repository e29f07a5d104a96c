restream_unit_test(NAME model ONE_THREAD SOURCES model_test.cpp USES model)
