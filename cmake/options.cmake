# Warnings, hardening and sanitizers, in one interface target that every target of ours links.
add_library(restream_options INTERFACE)
target_compile_options(restream_options INTERFACE
  -Wall -Wextra -Werror -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast>)
# GCC 12 reports false positives in optimised libstdc++ and Beast code with these; they stay warnings nowhere.
target_compile_options(restream_options INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
  -Wno-array-bounds -Wno-stringop-overread -Wno-dangling-pointer>)
if(RESTREAM_FUZZ)
  target_compile_options(restream_options INTERFACE -fsanitize=fuzzer-no-link -Wno-error)
endif()
if(RESTREAM_SANITIZE)
  target_compile_options(restream_options INTERFACE -fsanitize=${RESTREAM_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(restream_options INTERFACE -fsanitize=${RESTREAM_SANITIZE})
  if(RESTREAM_SANITIZE MATCHES "undefined")
    # What the address sanitizer finds as well costs a quarter of the build. To check a vptr it opens a pipe, and reports
    # an invalid one where there are no descriptors left, which a test brings about.
    target_compile_options(restream_options INTERFACE
      -fno-sanitize-recover=undefined -fno-sanitize=null,object-size,vptr)
  endif()
  # GCC's thread sanitizer does not model atomic_thread_fence, which Asio uses around its handlers; Asio has a
  # switch that makes it use what the sanitizer understands.
  if(RESTREAM_SANITIZE MATCHES "thread")
    target_compile_options(restream_options INTERFACE -Wno-tsan)
  endif()
  target_compile_definitions(restream_options INTERFACE RESTREAM_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(restream_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  target_link_options(restream_options INTERFACE -Wl,-z,relro,-z,now)
endif()
