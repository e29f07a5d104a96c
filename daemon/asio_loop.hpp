// Core's loop, made of an io_context.
#pragma once

#include "ops/core_loop.hpp"

namespace boost::asio {
class io_context;
}

namespace restream {

// `io` outlives it.
CoreLoop asio_loop(boost::asio::io_context& io);

}  // namespace restream
