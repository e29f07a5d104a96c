// The live viewer at `GET /`: one document with its style and script in it, made of web/ when the daemon is built. It
// holds nothing of this server's own, so it may be given to anybody; what it shows it asks for with the visitor's
// token.
#pragma once

#include <string_view>

namespace restream {

// Everybody is given the page, also where a token is wanted: a browser that opens it cannot send one yet.
inline bool asks_for_page(std::string_view path, std::string_view accept) {
  return path == "/" && accept.find("text/html") != std::string_view::npos;
}

std::string_view page_html();

// The Content-Security-Policy that goes with it: this very style and script, requests to this server, nothing else.
std::string_view page_policy();

}  // namespace restream
