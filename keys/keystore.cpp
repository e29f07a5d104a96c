#include "keys/keystore.hpp"

#include <utility>

#include "keys/keystore_writer.hpp"

namespace restream::keys {

namespace {

KeysError damaged(const std::string& path, std::string_view why) {
  return {KeysErrorKind::damaged, path + ": the keystore is damaged: " + std::string(why) +
                                      ". It was left as it is; bring back a copy of it, or move it away and import "
                                      "the keys again"};
}

KeysError wrong_key(const std::string& path, std::string_view why, std::string_view next = {}) {
  return {KeysErrorKind::wrong_key, path + ": wrong master key, or the header was altered: " + std::string(why) +
                                        ". It was left as it is" + std::string(next)};
}

// Nothing can tell a mistyped passphrase from a header that was altered; a key file is told by its id beforehand.
KeysError does_not_open(const std::string& path, bool by_passphrase) {
  if (by_passphrase)
    return wrong_key(path, "the passphrase does not open it",
                     "; run the command again and give the passphrase anew. If it is the right one for sure, bring "
                     "back a copy of the keystore");
  return wrong_key(path, "the data key does not open", "; bring back a copy of the keystore");
}

KeysError cannot_parse(const std::string& path, const FormatError& error) {
  if (!error.unknown_version) return damaged(path, error.message);
  return {KeysErrorKind::unknown_version,
          path + ": the keystore is damaged or newer than this program: it says " + error.message +
              ", and only version 1 is known here. It was left as it is; try a newer restream"};
}

std::expected<Unsealed, KeysError> unseal_parsed(const std::string& file, const ParsedFile& parsed,
                                                 const std::string& path, Secret kek) {
  const Header& header = parsed.header;
  const auto data_key = unseal(kek, header.wrap_nonce, parsed.above_wrap, header.wrapped);
  if (!data_key) return std::unexpected(does_not_open(path, std::holds_alternative<ScryptKek>(header.kek)));
  const auto plaintext = unseal(*data_key, header.body_nonce, parsed.whole_header, as_bytes(parsed.body));
  if (!plaintext) return std::unexpected(damaged(path, "its body was altered"));

  std::string_view json = plaintext->view();
  json.remove_suffix(json.size() - (json.find_last_not_of(' ') + 1));
  auto entries = parse_entries(json);
  if (!entries) return std::unexpected(damaged(path, "its body holds no keys: " + entries.error().message));
  return Unsealed{{std::move(*entries), header.id, header.gen, sha256(file)}, header, std::move(kek)};
}

// `derive` makes the key that wraps the data key from the header.
template <typename Derive>
std::expected<Unsealed, KeysError> unseal_by(const std::string& file, const std::string& path, Derive derive) {
  const auto parsed = parse_file(file);
  if (!parsed) return std::unexpected(cannot_parse(path, parsed.error()));
  std::expected<Secret, KeysError> kek = derive(parsed->header);
  if (!kek) return std::unexpected(wrong_key(path, kek.error().message));
  return unseal_parsed(file, *parsed, path, std::move(*kek));
}

std::expected<Found, KeysError> find_once(const std::string& path, const MasterKey& key, const Owners& owners) {
  auto file = read_store_file(path, owners);
  if (!file) return std::unexpected(std::move(file.error()));
  auto unsealed = unseal_store(file->bytes, path, key);
  if (!unsealed) return std::unexpected(std::move(unsealed.error()));
  return Found{std::move(*unsealed), file->owner, false};
}

}  // namespace

std::expected<Unsealed, KeysError> unseal_store(const std::string& file, const std::string& path,
                                                const MasterKey& key) {
  return unseal_by(file, path, [&](const Header& header) { return derive_kek(key, header); });
}

std::expected<Unsealed, KeysError> unseal_store_with_kek(const std::string& file, const std::string& path, Secret kek) {
  return unseal_by(file, path, [&](const Header&) -> std::expected<Secret, KeysError> { return std::move(kek); });
}

std::expected<std::string, KeysError> seal_store(Header header, const Secret& kek, const Entries& entries) {
  Secret plaintext = print_entries(entries);
  const std::size_t padded = (plaintext.size() + kPadding - 1) / kPadding * kPadding;
  plaintext.append(padded - plaintext.size(), ' ');

  const Secret data_key = random_key();
  fill_random(header.wrap_nonce);
  fill_random(header.body_nonce);
  const std::string wrapped = seal(kek, header.wrap_nonce, print_above_wrap(header), data_key.bytes());
  const Bytes wrapped_bytes = as_bytes(wrapped);
  std::copy(wrapped_bytes.begin(), wrapped_bytes.end(), header.wrapped.begin());

  std::string file = print_header(header);
  file += seal(data_key, header.body_nonce, file, plaintext.bytes());
  if (file.size() > kMaxFileSize) {
    return std::unexpected(KeysError{KeysErrorKind::usage, "the keystore would be larger than 1 MiB"});
  }
  return file;
}

std::expected<StoreFile, KeysError> read_store_file(const std::string& path, const Owners& owners) {
  auto file = open_private(path, "the keystore", owners, Check::private_file);
  if (!file) return std::unexpected(std::move(file.error()));
  // One byte more than allowed is enough to know: parse_file() refuses it, and nobody reads gigabytes.
  auto bytes = read_text(file->fd.get(), path, kMaxFileSize, KeysErrorKind::damaged);
  if (!bytes && bytes.error().kind == KeysErrorKind::damaged) {
    return std::unexpected(damaged(path, "it is larger than 1 MiB"));
  }
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  return StoreFile{std::move(*bytes), file->owner};
}

std::expected<Header, KeysError> peek_keystore(const std::string& path, const Owners& owners) {
  const auto file = read_store_file(path, owners);
  if (!file) return std::unexpected(file.error());
  const auto parsed = parse_file(file->bytes);
  if (!parsed) return std::unexpected(cannot_parse(path, parsed.error()));
  return parsed->header;
}

std::expected<Found, KeysError> find_keystore(const std::string& path, const MasterKey& key, const Owners& owners) {
  auto found = find_once(path, key, owners);
  if (found || found.error().kind != KeysErrorKind::wrong_key || key.path.empty()) return found;
  // The successor first: when it is renamed between the two looks, the second still sees it under its new name.
  using Kind = MasterKeySource::Kind;
  for (const bool successor : {true, false}) {
    auto other = load_master_key({Kind::file, successor ? successor_path(key.path) : key.path}, owners);
    if (!other) continue;
    auto again = find_once(path, *other, owners);
    if (!again) continue;
    again->used_successor = successor;
    return again;
  }
  return found;
}

std::expected<Keystore, KeysError> open_keystore(const std::string& path, const MasterKey& key, const Owners& owners) {
  auto found = find_keystore(path, key, owners);
  if (!found) return std::unexpected(std::move(found.error()));
  if (found->used_successor) finish_rekey(path, key, owners);
  return std::move(found->unsealed.store);
}

const Secret* find_key(const Keystore& store, std::string_view fetcher, std::string_view name) {
  const auto keys = store.entries.find(fetcher);
  if (keys == store.entries.end()) return nullptr;
  const auto key = keys->second.find(name);
  return key == keys->second.end() ? nullptr : &key->second;
}

}  // namespace restream::keys
