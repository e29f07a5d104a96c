// Who says whether one more request may go out. What it counts, and for whom, is the caller's affair.
#pragma once

namespace restream {

// Called on the http thread; must not block or throw.
class HttpBudget {
 public:
  HttpBudget() = default;
  HttpBudget(const HttpBudget&) = delete;
  HttpBudget& operator=(const HttpBudget&) = delete;
  virtual ~HttpBudget() = default;

  // One request is about to be written to a connection: the first, one that a redirect asks for, or one that libcurl
  // sends again because the connection was dead. False: it must not.
  virtual bool take() = 0;
  // So many of those taken are over: answered, broken off or given up. The API has counted them by now, if ever.
  virtual void end(unsigned requests) = 0;
};

}  // namespace restream
