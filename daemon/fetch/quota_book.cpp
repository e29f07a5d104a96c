#include "fetch/quota_book.hpp"

#include <map>

#include "fetch/quota_budget.hpp"

namespace restream {

struct Budgets {
  std::shared_ptr<Budget> budget(const std::string& credential) {
    std::shared_ptr<Budget>& found = budgets[credential];
    if (!found) {
      const auto before = kept.find(credential);
      found = std::make_shared<Budget>(credential, around, before == kept.end() ? nullptr : &before->second);
    }
    return found;
  }

  QuotaBook::Surroundings around;
  std::map<std::string, QuotaRecord> kept;                 // of the time before the start
  std::map<std::string, std::shared_ptr<Budget>> budgets;  // never dropped: what was spent stays spent
};

struct QuotaMember::Impl {
  std::shared_ptr<Budgets> book;
  QuotaTerms terms;
  std::shared_ptr<Budget> budget;  // null until there are terms
};

QuotaMember::QuotaMember(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
QuotaMember::~QuotaMember() {
  if (impl_->budget) impl_->budget->remove(this);
}

void QuotaMember::set_terms(QuotaTerms terms) {
  const std::shared_ptr<Budget> next = impl_->book->budget(terms.credential);
  std::vector<Budget::Moving> moving;
  if (impl_->budget && impl_->budget != next) moving = impl_->budget->remove(this);
  impl_->terms = std::move(terms);
  impl_->budget = next;
  next->set_terms(this, impl_->terms.limit, impl_->terms.whole_credential);
  for (Budget::Moving& one : moving) next->take_over(std::move(one));
}

void QuotaMember::ask(const std::string& channel, Millis interval, bool first, QuotaTurn turn) {
  impl_->budget->ask({this, channel}, interval, first, std::move(turn));
}

void QuotaMember::hasten(const std::string& channel) {
  if (impl_->budget) impl_->budget->hasten({this, channel});
}

void QuotaMember::remind(const std::string& channel) {
  if (impl_->budget) impl_->budget->remind({this, channel});
}

void QuotaMember::leave(const std::string& channel) {
  if (impl_->budget) impl_->budget->leave({this, channel});
}

void QuotaMember::set_subscribers(const std::string& channel, std::size_t count) {
  if (impl_->budget) impl_->budget->set_subscribers({this, channel}, count);
}

Millis QuotaMember::stretched(const std::string& channel, Millis interval) const {
  return impl_->budget ? impl_->budget->stretched({this, channel}, interval) : interval;
}

QuotaView QuotaMember::view() const {
  QuotaView view;
  if (impl_->budget) view = impl_->budget->view();
  view.limit = impl_->terms.limit;
  return view;
}

QuotaBook::QuotaBook(Surroundings surroundings, std::vector<QuotaRecord> kept)
    : impl_(std::make_shared<Budgets>(Budgets{.around = std::move(surroundings), .kept = {}, .budgets = {}})) {
  for (QuotaRecord& record : kept) {
    std::string credential = record.budget;
    impl_->kept.emplace(std::move(credential), std::move(record));
  }
}
QuotaBook::~QuotaBook() = default;

std::shared_ptr<QuotaMember> QuotaBook::join() {
  return std::shared_ptr<QuotaMember>(new QuotaMember(
      std::make_unique<QuotaMember::Impl>(QuotaMember::Impl{.book = impl_, .terms = {}, .budget = {}})));
}

void QuotaBook::close() {
  for (const auto& [_, budget] : impl_->budgets) budget->close();
}

}  // namespace restream
