#include "http/certificates.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace restream {

std::string problem_of_certificates(const std::filesystem::path& file) {
  const std::string expected = "; a readable PEM file of certificates is expected";
  std::ifstream in(file);
  if (!in || in.peek() == std::ifstream::traits_type::eof())
    return file.string() + " cannot be used: " + (in.is_open() ? "it is empty, or no file" : std::strerror(errno)) +
           expected;
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), X509_STORE_free);
  const bool loaded = store && X509_STORE_load_file(store.get(), file.c_str()) == 1;
  ERR_clear_error();
  return loaded ? std::string() : file.string() + " cannot be used: there is no certificate in it" + expected;
}

}  // namespace restream
