// The names of Asio that the serve threads use. Internal to the room: no public header includes this.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace restream {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
// Tied to io_context, so that handlers pay for no type-erased executor.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

}  // namespace restream
