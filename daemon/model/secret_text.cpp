#include "model/secret_text.hpp"

#include <string.h>  // explicit_bzero is not in <cstring>

namespace restream {

void wipe(std::string& text) noexcept {
  text.resize(text.capacity());  // moves nothing; what was cut off its end is in there, too
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace restream
