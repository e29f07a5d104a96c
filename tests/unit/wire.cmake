restream_unit_test(NAME wire SOURCES wire_test.cpp USES wire)
