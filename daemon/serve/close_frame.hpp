// Close codes, and the frame that carries one. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace restream {

inline constexpr std::uint16_t close_going_away = 1001;
inline constexpr std::uint16_t close_protocol_error = 1002;
inline constexpr std::uint16_t close_bad_text = 1007;
inline constexpr std::uint16_t close_policy = 1008;
inline constexpr std::uint16_t close_too_big = 1009;
inline constexpr std::uint16_t close_try_again_later = 1013;

// A reason may be 123 bytes long; what is longer is cut. Code 0: without a code and a reason.
inline std::string close_frame(std::uint16_t code, std::string_view reason) {
  constexpr std::size_t reason_limit = 123;
  if (code == 0) return std::string("\x88\x00", 2);
  reason = reason.substr(0, reason_limit);
  std::string frame = "\x88";
  frame += static_cast<char>(reason.size() + 2);
  frame += static_cast<char>(code >> 8U);
  frame += static_cast<char>(code & 0xffU);
  return frame.append(reason);
}

}  // namespace restream
