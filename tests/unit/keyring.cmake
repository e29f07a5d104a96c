restream_unit_test(NAME keyring ONE_THREAD SOURCES keyring_test.cpp keyring_file_test.cpp USES keyring keys)
