# Apart from unit-http: it runs in a network of its own.
restream_unit_test(NAME bypass ONE_THREAD SOURCES bypass_test.cpp USES http model LINKS Threads::Threads ${CMAKE_DL_LIBS})
