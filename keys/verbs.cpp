#include "keys/verbs.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <expected>
#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "keys/audit.hpp"
#include "keys/keystore_writer.hpp"
#include "keys/shell_word.hpp"
#include "keys/terminal.hpp"

namespace restream::keys {

namespace {

using Result = std::expected<void, KeysError>;

std::unexpected<KeysError> fail(KeysErrorKind kind, std::string message) {
  return std::unexpected(KeysError{kind, std::move(message)});
}
std::unexpected<KeysError> refuse(std::string message) { return fail(KeysErrorKind::usage, std::move(message)); }

Result check_name(std::string_view what, std::string_view name) {
  if (valid_name(name)) return {};
  return refuse("the " + std::string(what) + "'s name breaks the rule: " + std::string(kNameRule));
}

// One run of the command. The members after `request_` are what the audit line tells.
class Command {
 public:
  explicit Command(const Request& request) : request_(request), owners_(default_owners()) {}

  int run() {
    Result result = dispatch();
    // A file name mistyped is no deed on a keystore, and leaves no file behind.
    const bool absent = !result && result.error().kind == KeysErrorKind::missing;
    const bool tell = touched_ && !audited_ && !absent;
    Result audited = tell ? audit(result ? "ok" : std::string(text(result.error().kind))) : Result();
    if (absent) result.error().message += ". `" + same("init") + "` makes one";
    if (!result) std::cerr << "restream-keys: " << result.error().message << "\n";
    if (!audited) std::cerr << "restream-keys: warning: " << audited.error().message << "\n";
    return result ? 0 : exit_code(result.error().kind);
  }

 private:
  Result dispatch() {
    auto source = parse_master_key_source(request_.master_key);
    if (!source) return std::unexpected(std::move(source.error()));
    source_ = std::move(*source);
    if (request_.passphrase_stdin && !asks_passphrase()) {
      return refuse("--passphrase-stdin goes with --master-key passphrase");
    }
    if (request_.verb == "init") return init();
    if (request_.verb == "set") return set();
    if (request_.verb == "get") return get();
    if (request_.verb == "list") return list();
    if (request_.verb == "rm") return rm();
    if (request_.verb == "import") return import();
    if (request_.verb == "export") return export_plaintext();
    if (request_.verb == "verify") return verify();
    return rekey();
  }

  Result init() {
    touched_ = true;
    struct stat found{};
    if (lstat(request_.file.c_str(), &found) == 0) {
      return refuse(request_.file + " exists already, and was left as it is");
    }
    std::optional<MasterKey> typed;
    if (asks_passphrase()) {
      auto passphrase = new_passphrase();
      if (!passphrase) return std::unexpected(std::move(passphrase.error()));
      typed = passphrase_key(std::move(*passphrase));
    }
    bool made_key = false;
    const MakeKey make_key = [&]() -> std::expected<MasterKey, KeysError> {
      if (typed) return std::move(*typed);
      if (source_.kind == MasterKeySource::Kind::file) {
        const auto made = create_master_key(source_.name, {geteuid(), getegid(), 0600});
        if (!made) return std::unexpected(made.error());
        made_key = *made;
      }
      return load_master_key(source_, owners_);
    };
    auto written = create_keystore(request_.file, make_key, keystore_owner(), owners_);
    if (!written) return std::unexpected(std::move(written.error()));
    gen_ = written->gen;
    if (source_.kind == MasterKeySource::Kind::file) {
      std::cout << (made_key ? "made the master key " : "used the master key that was there, ") << source_.name << "\n"
                << "Keep a copy of it, apart from copies of the keystore: nothing else opens the keystore.\n";
    }
    std::cout << "made the keystore " << request_.file << "\n"
              << "Next: " << same("set FETCHER KEY") << "\n";
    return {};
  }

  Result set() {
    if (auto checked = take_names(); !checked) return checked;
    auto key = open_key();
    if (!key) return std::unexpected(std::move(key.error()));
    auto value = read_value();
    if (!value) return std::unexpected(std::move(value.error()));
    bool replaced = false;
    const auto written = update(
        [&](Entries& entries) -> Result {
          replaced = !entries[request_.fetcher].insert_or_assign(request_.key, std::move(*value)).second;
          return {};
        },
        *key);
    if (!written) return written;
    std::cout << request_.fetcher << "/" << request_.key << (replaced ? " is replaced\n" : " is set\n");
    return {};
  }

  Result get() {
    if (auto checked = take_names(); !checked) return checked;
    if (!request_.reveal) {
      return refuse("get shows the key's value to everybody who sees this screen: add --reveal if that is wanted");
    }
    auto store = open();
    if (!store) return std::unexpected(std::move(store.error()));
    const Secret* value = find_key(*store, request_.fetcher, request_.key);
    if (value == nullptr) return no_such_entry();
    if (auto audited = audit_first(); !audited) return audited;
    return show(value->view());
  }

  Result list() {
    auto store = open();
    if (!store) return std::unexpected(std::move(store.error()));
    for (const auto& [fetcher, keys] : store->entries) {
      for (const auto& [name, value] : keys) std::cout << fetcher << " " << name << "\n";
    }
    if (store->entries.empty()) std::cerr << "the keystore " << request_.file << " is empty\n";
    return {};
  }

  Result rm() {
    if (auto checked = take_names(); !checked) return checked;
    auto key = open_key();
    if (!key) return std::unexpected(std::move(key.error()));
    std::vector<std::string> removed;
    const auto written = update(
        [&](Entries& entries) -> Result {
          const auto keys = entries.find(request_.fetcher);
          if (keys == entries.end()) return no_such_entry();
          for (auto it = keys->second.begin(); it != keys->second.end();) {
            const bool goes = request_.key.empty() || it->first == request_.key;
            if (goes) removed.push_back(request_.fetcher + "/" + it->first);
            it = goes ? keys->second.erase(it) : std::next(it);
          }
          return removed.empty() ? Result(no_such_entry()) : Result();
        },
        *key);
    if (!written) return written;
    names_ = removed;
    for (const std::string& name : removed) std::cout << name << " is removed\n";
    return {};
  }

  Result import() {
    auto key = open_key();
    if (!key) return std::unexpected(std::move(key.error()));
    const bool from_input = request_.from == "-";
    auto json = from_input ? input_.read_rest(kMaxFileSize) : read_plain_file();
    if (!json) return std::unexpected(std::move(json.error()));
    auto given = parse_entries(json->view());
    if (!given) {
      return refuse((from_input ? "standard input" : request_.from) + ":" + std::to_string(given.error().line) + ":" +
                    std::to_string(given.error().column) + ": " + given.error().message + ". Nothing was imported");
    }
    for (const auto& [fetcher, keys] : *given) {
      for (const auto& [name, value] : keys) names_.push_back(fetcher + "/" + name);
    }
    if (names_.empty()) return refuse("there is no key in it, so nothing was imported");
    const auto written = update([&](Entries& entries) { return merge(entries, *given); }, *key);
    if (!written) return written;
    std::cout << "imported " << names_.size() << (names_.size() == 1 ? " key\n" : " keys\n");
    if (!from_input) {
      std::cerr << request_.from << " still holds them for everybody to read: shred -u " << shell_word(request_.from)
                << "\n";
    }
    return {};
  }

  Result merge(Entries& entries, Entries& given) const {
    std::string taken;
    for (const auto& [fetcher, keys] : given) {
      const auto there = entries.find(fetcher);
      for (const auto& [name, value] : keys) {
        if (there != entries.end() && there->second.contains(name)) taken.append(" ").append(fetcher + "/" + name);
      }
    }
    if (!taken.empty() && !request_.overwrite) {
      return refuse("these are in the keystore already:" + taken +
                    ". Nothing was imported; add --overwrite to replace them");
    }
    for (auto& [fetcher, keys] : given) {
      for (auto& [name, value] : keys) entries[fetcher].insert_or_assign(name, std::move(value));
    }
    return {};
  }

  Result export_plaintext() {
    if (!request_.plaintext || !request_.yes) {
      return refuse("export writes every key in the clear: add --plaintext --yes if that is wanted. (A copy of " +
                    request_.file + " is a backup that stays sealed)");
    }
    auto store = open();
    if (!store) return std::unexpected(std::move(store.error()));
    for (const auto& [fetcher, keys] : store->entries) {
      for (const auto& [name, value] : keys) names_.push_back(fetcher + "/" + name);
    }
    if (auto audited = audit_first(); !audited) return audited;
    return show(print_entries(store->entries).view());
  }

  Result verify() {
    auto store = open();
    if (!store) return std::unexpected(std::move(store.error()));
    std::cout << request_.file << " is sound: generation " << store->gen << ", keys: " << count_keys(store->entries)
              << ", fetchers: " << store->entries.size() << "\n";
    return {};
  }

  Result rekey() {
    auto key = open_key();
    if (!key) return std::unexpected(std::move(key.error()));
    std::optional<Secret> passphrase;
    if (asks_passphrase()) {
      auto typed = new_passphrase();
      if (!typed) return std::unexpected(std::move(typed.error()));
      passphrase = std::move(*typed);
    }
    auto written = rekey_keystore(request_.file, *key, owners_, seen_, std::move(passphrase));
    if (!written) return std::unexpected(std::move(written.error()));
    gen_ = written->gen;
    std::cout << "the keystore " << request_.file << " is sealed under a new master key";
    if (asks_passphrase()) {
      std::cout << "\n";
    } else {
      std::cout
          << ", " << source_.name << ": renew your copy of it\n"
          << "Restart the service, if systemd hands it the master key (LoadCredential=): systemctl restart restream\n";
    }
    std::cout << "The keys inside are the same. If somebody may have seen them, get new ones from each API as well.\n";
    return {};
  }

  // --- steps that the verbs share

  // Another command on the same keystore.
  [[nodiscard]] std::string same(const std::string& verb) const {
    std::string words = "restream-keys ";
    if (request_.file != Request().file) words += "--file " + shell_word(request_.file) + " ";
    if (request_.master_key != Request().master_key) words += "--master-key " + shell_word(request_.master_key) + " ";
    return words + verb;
  }

  [[nodiscard]] bool asks_passphrase() const { return source_.kind == MasterKeySource::Kind::passphrase; }

  Result take_names() {
    if (auto checked = check_name("fetcher", request_.fetcher); !checked) return checked;
    if (request_.verb == "rm" && request_.key.empty()) {
      names_ = {request_.fetcher};
      return {};
    }
    names_ = {request_.fetcher + "/" + request_.key};
    return check_name("key", request_.key);
  }

  // Looks at the keystore before anybody is asked anything, then gets the master key.
  std::expected<MasterKey, KeysError> open_key() {
    touched_ = true;
    auto header = peek_keystore(request_.file, owners_);
    if (!header) return std::unexpected(std::move(header.error()));
    seen_ = *header;
    if (!asks_passphrase()) return load_master_key(source_, owners_);
    if (std::holds_alternative<RawKek>(header->kek)) {
      return fail(KeysErrorKind::wrong_key, request_.file + " is sealed under a key file: give --master-key PATH");
    }
    auto passphrase = old_passphrase();
    if (!passphrase) return std::unexpected(std::move(passphrase.error()));
    return passphrase_key(std::move(*passphrase));
  }

  std::expected<Keystore, KeysError> open() {
    auto key = open_key();
    if (!key) return std::unexpected(std::move(key.error()));
    auto store = open_keystore(request_.file, *key, owners_);
    if (store) gen_ = store->gen;
    return store;
  }

  Result update(const Edit& edit, const MasterKey& key) {
    const auto written = update_keystore(request_.file, key, owners_, seen_, edit);
    if (!written) return std::unexpected(written.error());
    gen_ = written->gen;
    return {};
  }

  std::expected<Secret, KeysError> old_passphrase() {
    if (request_.passphrase_stdin && !StandardInput::is_terminal()) return input_.read_line("the passphrase");
    return with_hint(ask_hidden("the passphrase of " + request_.file));
  }

  std::expected<Secret, KeysError> new_passphrase() {
    if (request_.passphrase_stdin && !StandardInput::is_terminal()) return input_.read_line("the new passphrase");
    auto first = with_hint(ask_hidden("a new passphrase for " + request_.file));
    if (!first) return first;
    const auto again = ask_hidden("the same once more");
    if (!again) return std::unexpected(again.error());
    if (!first->same_as(*again)) return refuse("the two differ; nothing was changed");
    return first;
  }

  static std::expected<Secret, KeysError> with_hint(std::expected<Secret, KeysError> answer) {
    if (!answer) answer.error().message += ". Without one, give it as a line on standard input: --passphrase-stdin";
    return answer;
  }

  std::expected<Secret, KeysError> read_value() {
    const std::string label = "the value of " + request_.fetcher + "/" + request_.key;
    auto value = StandardInput::is_terminal() ? ask_hidden(label) : input_.read_rest(kMaxValueSize + 2);
    if (!value) return value;
    strip_line_end(*value);
    if (const auto problem = value_problem(value->view()); !problem.empty()) {
      return refuse(label + " " + std::string(problem) + ". It is read from the terminal or standard input");
    }
    return value;
  }

  std::expected<Secret, KeysError> read_plain_file() {
    const Fd file(::open(request_.from.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return std::unexpected(system_error("cannot open", request_.from));
    return read_secret(file.get(), request_.from, kMaxFileSize, KeysErrorKind::usage);
  }

  // Made by root, it is for the service to read.
  [[nodiscard]] FileOwner keystore_owner() const {
    FileOwner owner{geteuid(), getegid(), 0600};
    if (const auto service = service_user(); service && geteuid() == 0) {
      owner.uid = service->uid;
      owner.gid = service->gid;
    }
    return owner;
  }

  std::unexpected<KeysError> no_such_entry() const {
    return fail(KeysErrorKind::no_such_entry,
                request_.file + " has no " + names_.front() + " (`" + same("list") + "` shows what it has)");
  }

  // Straight to the descriptor: no buffer keeps a copy.
  static Result show(std::string_view secret) {
    if (write_all(STDOUT_FILENO, secret) && write_all(STDOUT_FILENO, "\n")) return {};
    return std::unexpected(system_error("cannot write", "standard output"));
  }

  Result audit(const std::string& result) {
    audited_ = true;
    return append_audit(request_.file,
                        {std::chrono::system_clock::now(), getuid(), request_.verb, names_, gen_, result}, owners_);
  }

  // Nothing in the clear leaves without a trace.
  Result audit_first() {
    auto audited = audit("ok");
    if (!audited) audited.error().message += ". Without that line nothing is shown";
    return audited;
  }

  const Request& request_;
  Owners owners_;
  MasterKeySource source_;
  StandardInput input_;
  std::optional<Header> seen_;
  std::vector<std::string> names_;
  std::optional<std::uint64_t> gen_;
  bool touched_ = false;  // a keystore was looked at, or was to be
  bool audited_ = false;
};

}  // namespace

int run(const Request& request) { return Command(request).run(); }

}  // namespace restream::keys
