restream_unit_test(NAME wire ONE_THREAD SOURCES wire_test.cpp USES wire)
