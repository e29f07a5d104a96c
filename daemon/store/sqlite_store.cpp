#include "store/sqlite_store.hpp"

#include <sqlite3.h>

#include <utility>

#include "store/quota_uses.hpp"
#include "store/sqlite_copy.hpp"
#include "store/sqlite_database.hpp"
#include "store/statement.hpp"

namespace restream {

namespace {

// The snapshot's order as one blob: each id with its size (4 bytes, least first) in front.
std::string pack_order(const std::vector<std::string>& ids) {
  std::string blob;
  for (const std::string& id : ids) {
    for (unsigned shift = 0; shift < 32; shift += 8) blob += static_cast<char>((id.size() >> shift) & 0xffU);
    blob += id;
  }
  return blob;
}

std::vector<std::string> unpack_order(std::string_view blob) {
  std::vector<std::string> ids;
  while (!blob.empty()) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4 && i < blob.size(); ++i)
      size |= static_cast<std::size_t>(static_cast<unsigned char>(blob[i])) << (8 * i);
    if (blob.size() < 4 || blob.size() - 4 < size) throw StoreError("the state database holds a broken item order");
    ids.emplace_back(blob.substr(4, size));
    blob.remove_prefix(4 + size);
  }
  return ids;
}

constexpr std::string_view channel_columns =
    "SELECT key, id, epoch, head, first, items, last_poll, not_before, failures, last_demand, undoable, "
    "refused_keys FROM channel";

struct Row {
  std::int64_t key = 0;
  ChannelRecord record;
};

Row read_row(Statement& statement) {
  Row row;
  row.key = statement.integer(0);
  row.record.channel = statement.string(1);
  row.record.head = {.epoch = statement.unsigned_integer(2), .offset = statement.unsigned_integer(3)};
  row.record.first = statement.unsigned_integer(4);
  row.record.items = statement.unsigned_integer(5);
  row.record.schedule = {.last_poll = statement.optional_time(6),
                         .not_before = statement.optional_time(7),
                         .failures = static_cast<std::uint32_t>(statement.integer(8)),
                         .refused_keys = statement.unsigned_integer(11),
                         .last_demand = statement.time(9)};
  row.record.undoable = statement.unsigned_integer(10);
  return row;
}

class SqliteStore final : public Store {
 public:
  SqliteStore(StateLock lock, Database database) : lock_(std::move(lock)), database_(std::move(database)) {}

  std::vector<ChannelRecord> channels() override {
    std::vector<ChannelRecord> found;
    const Use use(all_channels_.bind());
    while (all_channels_.step()) found.push_back(read_row(all_channels_).record);
    return found;
  }
  std::optional<ChannelRecord> channel(const std::string& channel) override {
    std::optional<Row> row = find(channel);
    if (!row) return std::nullopt;
    return std::move(row->record);
  }
  std::vector<ItemState> item_states(const std::string& channel) override;
  std::vector<std::string> order(const std::string& channel) override {
    const std::optional<Row> row = find(channel);
    return row ? order_of(row->key) : std::vector<std::string>();
  }
  TextMap<std::string> items(const std::string& channel, std::span<const std::string> ids) override;
  std::optional<Snapshot> snapshot(const std::string& channel) override;
  std::expected<std::vector<Event>, HistoryGone> events(const std::string& channel, Position after,
                                                        std::size_t max_bytes) override;
  std::vector<QuotaRecord> quotas() override;
  void commit(std::span<const Write> writes) override;
  std::unique_ptr<StoreCopy> copy(const std::filesystem::path& directory) override {
    return copy_sqlite(db_, directory / "restream.db");
  }

 private:
  // Resets the statement however the function ends: one that is left in mid-row would keep the read open.
  class Use {
   public:
    explicit Use(Statement& statement) : statement_(statement) {}
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { statement_.reset(); }

   private:
    Statement& statement_;
  };

  std::optional<Row> find(const std::string& channel) {
    const Use use(one_channel_.bind(channel));
    if (!one_channel_.step()) return std::nullopt;
    return read_row(one_channel_);
  }
  Row find_or_make(const std::string& channel, std::uint64_t epoch);
  std::vector<std::string> order_of(std::int64_t key);
  void save(const Row& row);
  void trim(Row& row, const Trim& rule);
  void apply(const PollWrite& write);
  void apply(const ScheduleWrite& write);
  void apply(const ForgetWrite& write);
  void apply(const QuotaWrite& write);
  void give_back();

  StateLock lock_;  // before the database, so that it is let go after it
  Database database_;
  unsigned commits_ = 0;

  sqlite3* db_ = database_.get();
  Statement begin_{db_, "BEGIN IMMEDIATE"};
  Statement end_{db_, "COMMIT"};
  Statement all_channels_{db_, std::string(channel_columns) + " ORDER BY key"};
  Statement one_channel_{db_, std::string(channel_columns) + " WHERE id = ?"};
  Statement make_channel_{db_,
                          "INSERT INTO channel (id, epoch, head, first, items, failures, last_demand) "
                          "VALUES (?, ?, 0, 1, 0, 0, 0)"};
  Statement save_channel_{db_,
                          "UPDATE channel SET head = ?, first = ?, items = ?, last_poll = ?, not_before = ?, "
                          "failures = ?, refused_keys = ?, last_demand = ? WHERE key = ?"};
  Statement drop_channel_{db_, "DELETE FROM channel WHERE key = ?"};
  Statement get_order_{db_, "SELECT ids FROM item_order WHERE channel = ?"};
  Statement put_order_{db_, "INSERT OR REPLACE INTO item_order (channel, ids) VALUES (?, ?)"};
  Statement drop_order_{db_, "DELETE FROM item_order WHERE channel = ?"};
  Statement states_{db_, "SELECT id, raw, content, missing, left_at FROM item WHERE channel = ?"};
  Statement get_item_{db_, "SELECT json FROM item WHERE channel = ? AND id = ?"};
  Statement put_item_{
      db_,
      "INSERT INTO item (channel, id, raw, content, missing, left_at, json) VALUES (?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (channel, id) DO UPDATE SET raw = excluded.raw, content = excluded.content, "
      "missing = excluded.missing, left_at = excluded.left_at, json = excluded.json"};
  Statement put_state_{db_,
                       "UPDATE item SET raw = ?, content = ?, missing = ?, left_at = ? WHERE channel = ? AND id = ?"};
  Statement drop_item_{db_, "DELETE FROM item WHERE channel = ? AND id = ?"};
  Statement drop_items_{db_, "DELETE FROM item WHERE channel = ?"};
  Statement put_event_{db_,
                       "INSERT INTO event (channel, position, time, kind, id, json, patch, undo) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
  Statement get_events_{db_,
                        "SELECT position, time, kind, id, json, patch, undo FROM event "
                        "WHERE channel = ? AND position > ? ORDER BY position"};
  Statement oldest_events_{db_, "SELECT position, time FROM event WHERE channel = ? ORDER BY position"};
  Statement drop_events_{db_, "DELETE FROM event WHERE channel = ? AND position < ?"};
  Statement drop_all_events_{db_, "DELETE FROM event WHERE channel = ?"};
  Statement all_quotas_{db_, "SELECT budget, ahead, api_left, api_renews, uses FROM quota ORDER BY budget"};
  Statement put_quota_{
      db_, "INSERT OR REPLACE INTO quota (budget, ahead, api_left, api_renews, uses) VALUES (?, ?, ?, ?, ?)"};
  Statement drop_quota_{db_, "DELETE FROM quota WHERE budget = ?"};
};

std::vector<std::string> SqliteStore::order_of(std::int64_t key) {
  const Use use(get_order_.bind(key));
  if (!get_order_.step()) return {};
  return unpack_order(get_order_.text(0));
}

std::vector<ItemState> SqliteStore::item_states(const std::string& channel) {
  std::vector<ItemState> found;
  const std::optional<Row> row = find(channel);
  if (!row) return found;
  const Use use(states_.bind(row->key));
  while (states_.step()) {
    found.push_back(ItemState{.id = states_.string(0),
                              .raw = states_.fingerprint(1),
                              .content = states_.fingerprint(2),
                              .missing = static_cast<std::uint32_t>(states_.integer(3)),
                              .left = states_.optional_time(4)});
  }
  return found;
}

TextMap<std::string> SqliteStore::items(const std::string& channel, std::span<const std::string> ids) {
  TextMap<std::string> found;
  const std::optional<Row> row = find(channel);
  if (!row) return found;
  for (const std::string& id : ids) {
    const Use use(get_item_.bind(row->key, id));
    if (get_item_.step()) found.emplace(id, get_item_.string(0));
  }
  return found;
}

std::optional<Snapshot> SqliteStore::snapshot(const std::string& channel) {
  const std::optional<Row> row = find(channel);
  if (!row) return std::nullopt;
  Snapshot snapshot{.position = row->record.head, .items = {}};
  for (std::string& id : order_of(row->key)) {
    const Use use(get_item_.bind(row->key, id));
    if (!get_item_.step()) throw StoreError("the state database lacks an item of channel " + channel);
    snapshot.items.push_back(Item{.id = std::move(id), .json = get_item_.string(0)});
  }
  return snapshot;
}

std::expected<std::vector<Event>, HistoryGone> SqliteStore::events(const std::string& channel, Position after,
                                                                   std::size_t max_bytes) {
  const std::optional<Row> row = find(channel);
  if (!row || row->record.head.epoch != after.epoch || after.offset > row->record.head.offset ||
      after.offset + 1 < row->record.first)
    return std::unexpected(HistoryGone());
  std::vector<Event> found;
  std::size_t bytes = 0;
  const Use use(get_events_.bind(row->key, after.offset));
  while (get_events_.step()) {
    Event event{.offset = get_events_.unsigned_integer(0),
                .time = get_events_.time(1),
                .change = {.kind = static_cast<ChangeKind>(get_events_.integer(2)),
                           .id = get_events_.string(3),
                           .item = get_events_.string(4),
                           .patch = get_events_.string(5),
                           .undo = get_events_.string(6)}};
    bytes += size_of(event.change);
    if (!found.empty() && bytes > max_bytes) break;
    found.push_back(std::move(event));
  }
  return found;
}

Row SqliteStore::find_or_make(const std::string& channel, std::uint64_t epoch) {
  if (std::optional<Row> row = find(channel)) return std::move(*row);
  make_channel_.bind(channel, epoch).run();
  Row row;
  row.key = sqlite3_last_insert_rowid(db_);
  row.record.channel = channel;
  row.record.head.epoch = epoch;
  return row;
}

void SqliteStore::save(const Row& row) {
  const ChannelRecord& record = row.record;
  save_channel_
      .bind(record.head.offset, record.first, record.items, record.schedule.last_poll, record.schedule.not_before,
            record.schedule.failures, record.schedule.refused_keys, record.schedule.last_demand, row.key)
      .run();
}

void SqliteStore::trim(Row& row, const Trim& rule) {
  const std::uint64_t head = row.record.head.offset;
  std::uint64_t first = head + 1;
  {
    const Use use(oldest_events_.bind(row.key));
    while (oldest_events_.step()) {
      if (is_trimmed(rule, oldest_events_.time(1), oldest_events_.unsigned_integer(0), head)) continue;
      first = oldest_events_.unsigned_integer(0);
      break;
    }
  }
  if (first == row.record.first) return;
  drop_events_.bind(row.key, first).run();
  row.record.first = first;
}

void SqliteStore::apply(const PollWrite& write) {
  Row row = find_or_make(write.channel, write.epoch);
  if (write.events && !write.events->events.empty()) {
    const EventBatch& batch = *write.events;
    if (batch.after != row.record.head.offset)
      throw StoreError("events of channel " + write.channel + " do not follow the ones in the store");
    std::uint64_t offset = batch.after;
    for (const Event& event : batch.events) {
      const Change& change = event.change;
      put_event_
          .bind(row.key, ++offset, event.time, static_cast<std::int64_t>(change.kind), change.id, change.item,
                change.patch, change.undo)
          .run();
    }
    row.record.head.offset = offset;
  }
  for (const std::string& id : write.forgotten) drop_item_.bind(row.key, id).run();
  for (const ItemWrite& item : write.items) {
    const ItemState& state = item.state;
    if (item.item) {
      put_item_.bind(row.key, state.id, state.raw, state.content, state.missing, state.left, *item.item).run();
      continue;
    }
    put_state_.bind(state.raw, state.content, state.missing, state.left, row.key, state.id).run();
    if (sqlite3_changes(db_) == 0) throw StoreError("channel " + write.channel + " has no item to set the state of");
  }
  if (write.order) {
    const std::string ids = pack_order(*write.order);
    put_order_.bind(row.key, Blob{ids}).run();
    row.record.items = write.order->size();
  }
  trim(row, write.trim);
  row.record.schedule = write.schedule;
  save(row);
}

void SqliteStore::apply(const ScheduleWrite& write) {
  Row row = find_or_make(write.channel, write.epoch);
  row.record.schedule = write.schedule;
  save(row);
}

void SqliteStore::apply(const ForgetWrite& write) {
  const std::optional<Row> row = find(write.channel);
  if (!row) return;
  drop_all_events_.bind(row->key).run();
  drop_items_.bind(row->key).run();
  drop_order_.bind(row->key).run();
  drop_channel_.bind(row->key).run();
}

std::vector<QuotaRecord> SqliteStore::quotas() {
  std::vector<QuotaRecord> found;
  const Use use(all_quotas_.bind());
  while (all_quotas_.step()) {
    QuotaRecord record{.budget = all_quotas_.string(0),
                       .ahead = all_quotas_.unsigned_integer(1),
                       .windows = unpack_uses(all_quotas_.text(4)),
                       .api_left = {},
                       .api_renews = all_quotas_.optional_time(3)};
    if (record.api_renews) record.api_left = all_quotas_.unsigned_integer(2);
    found.push_back(std::move(record));
  }
  return found;
}

void SqliteStore::apply(const QuotaWrite& write) {
  const QuotaRecord& record = write.record;
  if (record.empty()) return drop_quota_.bind(record.budget).run();
  put_quota_
      .bind(record.budget, record.ahead, record.api_left.value_or(0), record.api_renews, pack_uses(record.windows))
      .run();
}

void SqliteStore::commit(std::span<const Write> writes) {
  begin_.bind().run();
  try {
    for (const Write& write : writes) {
      std::visit([this](const auto& one) { apply(one); }, write);
    }
    end_.bind().run();
  } catch (...) {
    // Some failures (a full disk is one) have rolled back already. If this one fails too, the next BEGIN says so.
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  give_back();
}

// Free pages are used again, so the file stops growing by itself; but what a large channel leaves when it is forgotten
// goes back to the file system, a little at a time so that no commit waits for it.
void SqliteStore::give_back() {
  constexpr unsigned every = 64;
  if (++commits_ % every != 0) return;
  // A quarter of the file may stay free. When this fails, there is the next time.
  try {
    Statement free_pages(db_, "PRAGMA freelist_count");
    Statement all_pages(db_, "PRAGMA page_count");
    const bool rows = free_pages.bind().step() && all_pages.bind().step();
    const bool many = rows && free_pages.integer(0) > 256 && free_pages.integer(0) * 4 > all_pages.integer(0);
    free_pages.reset();
    all_pages.reset();
    if (many) execute(db_, "PRAGMA incremental_vacuum(1024)");
  } catch (const StoreError&) {
    return;
  }
}

}  // namespace

std::unique_ptr<Store> make_sqlite_store(StateLock lock, Database database) {
  return std::make_unique<SqliteStore>(std::move(lock), std::move(database));
}

}  // namespace restream
