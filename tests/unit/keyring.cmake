restream_unit_test(NAME keyring SOURCES keyring_test.cpp USES keyring)
