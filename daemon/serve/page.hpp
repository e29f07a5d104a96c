// The page at `GET /`, as it stands in web/; put into the program when it is built.
#pragma once

#include <string_view>

namespace restream {

std::string_view page_html();
std::string_view page_script();
std::string_view page_style();

}  // namespace restream
