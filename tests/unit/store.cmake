restream_unit_test(NAME store SOURCES store_contract_test.cpp store_copy_test.cpp store_fault_test.cpp store_open_test.cpp
                   USES store LINKS SQLite::SQLite3)
