#include "asio_loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

namespace restream {

CoreLoop asio_loop(boost::asio::io_context& io) {
  CoreLoop loop;
  loop.post = [&io](std::move_only_function<void()> work) { boost::asio::post(io, std::move(work)); };
  loop.at = [&io](SteadyTime due, std::move_only_function<void()> work) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(io, due);
    timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& failed) mutable {
      if (!failed) work();
    });
  };
  loop.alarm = [&io](std::function<void()> work) -> Alarm {
    const auto timer = std::make_shared<boost::asio::steady_timer>(io);
    return [timer, work = std::move(work)](SteadyTime due) {
      timer->expires_at(due);
      timer->async_wait([work](const boost::system::error_code& failed) {
        if (!failed) work();
      });
    };
  };
  return loop;
}

}  // namespace restream
