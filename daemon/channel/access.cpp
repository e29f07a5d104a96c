#include "channel/access.hpp"

#include <algorithm>

namespace restream {

namespace {

// `open`: the text may go on with anything.
bool matches(std::string_view glob, std::string_view text, bool open) {
  // The last '*' takes one character more whenever what follows it does not fit.
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;
  std::size_t g = 0;
  std::size_t t = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      taken = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      // With an open end, whatever the star is followed by may still come.
      if (open) return true;
      g = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  if (open) return true;
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace

bool ChannelGlobs::match(std::string_view id) const {
  return std::ranges::any_of(globs, [id](const std::string& glob) { return matches(glob, id, false); });
}

bool ChannelGlobs::may_match_fetcher(std::string_view fetcher) const {
  const std::string with_params = std::string(fetcher) + '?';
  return std::ranges::any_of(globs, [&](const std::string& glob) {
    return matches(glob, fetcher, false) || matches(glob, with_params, true);
  });
}

}  // namespace restream
