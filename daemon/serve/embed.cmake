# cmake -DWEB=folder -DFILES="viewer.css;index.html;a.mjs;…;main.mjs" -DOUT=page.cpp -P embed.cmake: makes one page of the
# files of web/ and writes it, with the policy that it is served under, as page.cpp.
#
# The scripts are ES modules, which browsers and tests can load as they are. In the page they are one script: each in
# its place (what is used comes before what uses it), without its import lines and the word export. A name that two of
# them declare is therefore a syntax error.

# The base64 form of a SHA-256, which CMake gives as 64 hex digits.
function(base64_of_sha256 text out)
  string(SHA256 hex "${text}")
  set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(APPEND hex "00")
  set(base64 "")
  foreach(place RANGE 0 63 3)
    string(SUBSTRING "${hex}" ${place} 3 three)
    math(EXPR high "0x${three} >> 6")
    math(EXPR low "0x${three} & 63")
    string(SUBSTRING "${digits}" ${high} 1 high)
    string(SUBSTRING "${digits}" ${low} 1 low)
    string(APPEND base64 "${high}${low}")
  endforeach()
  # 32 bytes fill 43 characters; the rest came from the added zeros.
  string(SUBSTRING "${base64}" 0 43 base64)
  set(${out} "${base64}=" PARENT_SCOPE)
endfunction()

# Puts `content` in the place of `line`; a page without that line would be served without the content.
function(put_into_page line content)
  string(FIND "${page}" "${line}" place)
  if(place EQUAL -1)
    message(FATAL_ERROR "web/index.html has no line ${line}")
  endif()
  string(REPLACE "${line}" "${content}" replaced "${page}")
  set(page "${replaced}" PARENT_SCOPE)
endfunction()

set(script "\n")
foreach(file IN LISTS FILES)
  file(READ "${WEB}/${file}" content)
  if(file MATCHES "\\.mjs$")
    string(REGEX REPLACE "(^|\n)import [^\n]*;" "" content "${content}")
    string(REGEX REPLACE "(^|\n)export " "\\1" content "${content}")
    string(APPEND script "// --- ${file} ---\n${content}\n")
  elseif(file MATCHES "\\.css$")
    set(style "\n${content}")
  else()
    set(page "${content}")
  endif()
endforeach()
if(script MATCHES "\n(import|export) |</script|<!--" OR style MATCHES "</style")
  message(FATAL_ERROR "web/: '${CMAKE_MATCH_0}' cannot stand in a script or style of the page")
endif()

base64_of_sha256("${script}" script_hash)
base64_of_sha256("${style}" style_hash)
put_into_page("<link rel=\"stylesheet\" href=\"viewer.css\">" "<style>${style}</style>")
put_into_page("<script type=\"module\" src=\"main.mjs\"></script>" "<script type=\"module\">${script}</script>")
string(JOIN "; " policy
  "default-src 'none'" "script-src 'sha256-${script_hash}'" "style-src 'sha256-${style_hash}'" "connect-src 'self'"
  "img-src data:" "base-uri 'none'" "form-action 'none'" "frame-ancestors 'none'"
  "require-trusted-types-for 'script'" "trusted-types 'none'")

file(WRITE "${OUT}" "// Generated from web/ by embed.cmake.
#include \"serve/page.hpp\"

namespace restream {

std::string_view page_html() {
  return R\"embedded(${page})embedded\";
}

std::string_view page_policy() {
  return R\"embedded(${policy})embedded\";
}

}  // namespace restream
")
