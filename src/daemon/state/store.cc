// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <fstream>
#include <span>
#include <tuple>

#include "protocol/codec.h"

namespace amalgam::daemon {
namespace {

// 1: slices without terms; 2: with terms and class; 3: goals with a quantile, sessions without secrets; 4: devices of
// sessions, withheld devices; 5: reliable slices.
constexpr const char* kVersion = "5";
constexpr size_t kMaxDeviceRow = 64 * 1024;

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS slice (id INTEGER PRIMARY KEY, token0 INTEGER, token1 INTEGER, name TEXT, owner INTEGER,
  quota INTEGER, devices TEXT, creator_pid INTEGER, creator_start INTEGER, class TEXT NOT NULL DEFAULT '',
  share INTEGER NOT NULL DEFAULT 0, cap INTEGER NOT NULL DEFAULT 0, priority INTEGER NOT NULL DEFAULT 2,
  slo INTEGER NOT NULL DEFAULT 0, quantile INTEGER NOT NULL DEFAULT 990000, reliable INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS session (id INTEGER PRIMARY KEY, slice INTEGER, uid INTEGER, program TEXT, worker_pid INTEGER,
  client_pid INTEGER, worker_start INTEGER, client_start INTEGER, granted INTEGER, opened_unix_ms INTEGER,
  devices TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS device (position INTEGER PRIMARY KEY, bytes BLOB);
CREATE TABLE IF NOT EXISTS pool (name TEXT PRIMARY KEY, capacity INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS withheld (backend TEXT, library TEXT, driver INTEGER, device INTEGER, health INTEGER, why TEXT,
  PRIMARY KEY (backend, library, driver, device)) WITHOUT ROWID;
)";

// Brings a file of version 1 to the schema above.
constexpr const char* kFromOne = R"(
ALTER TABLE slice ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE slice ADD COLUMN share INTEGER NOT NULL DEFAULT 0;
ALTER TABLE slice ADD COLUMN cap INTEGER NOT NULL DEFAULT 0;
ALTER TABLE slice ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
ALTER TABLE slice ADD COLUMN slo INTEGER NOT NULL DEFAULT 0;
)";
// Workers of that daemon speak another version of the control channel: nobody could take them over.
constexpr const char* kFromTwo =
    "ALTER TABLE slice ADD COLUMN quantile INTEGER NOT NULL DEFAULT 990000; DROP TABLE session;";
constexpr const char* kFromThree = "ALTER TABLE session ADD COLUMN devices TEXT NOT NULL DEFAULT '';";
constexpr const char* kFromFour = "ALTER TABLE slice ADD COLUMN reliable INTEGER NOT NULL DEFAULT 0;";
constexpr const char* kDropAll =
    "DROP TABLE IF EXISTS slice; DROP TABLE IF EXISTS session; DROP TABLE IF EXISTS device; DROP TABLE IF EXISTS pool; "
    "DROP TABLE IF EXISTS withheld;";
static_assert(static_cast<int>(model::Priority::kNormal) == 2, "the schema's default");

Error sqlite_error(sqlite3* db, const std::string& what) {
  const int code = db != nullptr ? sqlite3_errcode(db) : SQLITE_NOMEM;
  const char* file = db != nullptr ? sqlite3_db_filename(db, "main") : nullptr;
  std::string text = std::string("state file ") + (file != nullptr ? file : "") + ": " + what + ": " +
                     (db != nullptr ? sqlite3_errmsg(db) : "out of memory");
  switch (code) {
    case SQLITE_FULL:
    case SQLITE_IOERR: return Error(Code::kUnavailable, text + "; make room on its disk, and try again");
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return Error(Code::kPermissionDenied, text + "; let the daemon write there, or give another --state-dir");
    case SQLITE_BUSY: return Error(Code::kUnavailable, text + "; another program has it: end that one");
    default: return Error(Code::kInternal, std::move(text));
  }
}

Result<void> execute(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(sqlite_error(db, "execute"));
  return {};
}

/// One prepared statement; parameters bind in order, columns read in order.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) : db_(db) {
    ok_ = sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) == SQLITE_OK;
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  template <typename... T>
  Statement& bind(const T&... values) {
    (bind_one(values), ...);
    return *this;
  }
  Result<void> run() {
    if (!ok_ || sqlite3_step(statement_) != SQLITE_DONE) return fail(sqlite_error(db_, "write"));
    return {};
  }
  /// True while there is a row.
  bool next() {
    int code = ok_ ? sqlite3_step(statement_) : SQLITE_ERROR;
    ok_ = code == SQLITE_ROW || code == SQLITE_DONE;
    return code == SQLITE_ROW;
  }
  bool ok() const { return ok_; }
  template <typename... T>
  void read(T&... values) {
    int column = 0;
    (read_one(column++, values), ...);
  }

 private:
  template <typename T>
    requires std::integral<T> || std::is_enum_v<T>
  void bind_one(T value) {
    sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value));
  }
  void bind_one(const std::string& value) {
    sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  }
  void bind_one(std::span<const std::byte> value) {
    sqlite3_bind_blob(statement_, ++bound_, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  }
  template <typename T>
    requires std::integral<T> || std::is_enum_v<T>
  void read_one(int column, T& value) {
    value = static_cast<T>(sqlite3_column_int64(statement_, column));
  }
  void read_one(int column, std::string& value) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    value.assign(text != nullptr ? text : "", static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  void read_one(int column, std::vector<std::byte>& value) {
    const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
    value.assign(bytes, bytes + sqlite3_column_bytes(statement_, column));
  }
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  bool ok_ = false;
};

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += item + "\n";
  return text;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> items;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    items.push_back(text.substr(at, end - at));
  return items;
}

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

Result<void> finished(sqlite3* db, const Statement& statement) {
  if (!statement.ok()) return fail(sqlite_error(db, "read"));
  return {};
}

}  // namespace

Store::~Store() { sqlite3_close(db_); }

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& file, bool* damaged) {
  Error last;
  for (int attempt = 0; attempt < 2; ++attempt) {
    sqlite3* db = nullptr;
    int opened =
        sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<Store> store(new Store(db));
    if (opened != SQLITE_OK) return fail(sqlite_error(db, "open"));
    ::chmod(file.c_str(), 0600);  // the tokens of slices are in it
    auto ready = store->prepare();
    if (ready) return store;
    last = std::move(ready.error());
    int code = sqlite3_errcode(db);
    if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB) break;  // a full disk, say, is not the file's fault
    if (damaged != nullptr) *damaged = true;
    store.reset();
    std::error_code ignored;
    std::filesystem::rename(file, file.string() + ".damaged", ignored);
    for (const char* companion : {"-wal", "-shm", "-journal"}) std::filesystem::remove(file.string() + companion, ignored);
  }
  return std::unexpected(std::move(last));
}

Result<void> Store::prepare() {
  // A daemon that was killed may still be about to let go of the file. Later nobody else has it: whoever holds the socket's
  // lock is the only one who opens it, so nothing is ever waited for, and readers of the log need no shared memory.
  AMALGAM_TRY(execute(db_,
                      "PRAGMA busy_timeout=1000; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA "
                      "synchronous=OFF; BEGIN EXCLUSIVE; COMMIT; PRAGMA busy_timeout=0;"),
              "set up");
  AMALGAM_TRY(execute(db_, "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"), "make tables");
  std::string stored;
  {
    Statement read(db_, "SELECT value FROM meta WHERE key='stamp'");
    if (read.next()) read.read(stored);
    AMALGAM_TRY(finished(db_, read), "read stamp");
  }  // tables cannot change while it is open
  if (stored == std::string(kVersion) + " " + boot_id()) return {};
  // All or nothing: whoever is killed or fails in the middle leaves the file as it was.
  AMALGAM_TRY(execute(db_, "BEGIN IMMEDIATE"), "migrate");
  AMALGAM_TRY(migrate(stored), "migrate");
  return execute(db_, "COMMIT");
}

Result<void> Store::migrate(const std::string& from) {
  std::string version = from.substr(0, from.find(' '));
  if (version == "1") AMALGAM_TRY(execute(db_, kFromOne), "migrate");
  if (version == "1" || version == "2") AMALGAM_TRY(execute(db_, kFromTwo), "migrate");
  if (version == "3") AMALGAM_TRY(execute(db_, kFromThree), "migrate");
  const bool is_old = version == "1" || version == "2" || version == "3" || version == "4";
  if (is_old) AMALGAM_TRY(execute(db_, kFromFour), "migrate");
  if (!is_old && version != kVersion) AMALGAM_TRY(execute(db_, kDropAll), "clear");
  AMALGAM_TRY(execute(db_, kSchema), "make tables");
  if (!from.ends_with(" " + boot_id()))
    AMALGAM_TRY(execute(db_, "DELETE FROM slice; DELETE FROM session; DELETE FROM device; DELETE FROM pool;"), "clear");
  return Statement(db_, "INSERT OR REPLACE INTO meta VALUES ('stamp', ?)")
      .bind(std::string(kVersion) + " " + boot_id())
      .run();
}

Result<void> Store::raise_next_id(uint64_t id) {
  return Statement(db_,
                   "INSERT INTO meta VALUES ('next_id', ?) ON CONFLICT(key) DO UPDATE SET value=max(value, excluded.value)")
      .bind(id + 1)
      .run();
}

Result<uint64_t> Store::next_id() {
  uint64_t id = 1;
  Statement read(db_, "SELECT value FROM meta WHERE key='next_id'");
  if (read.next()) read.read(id);
  AMALGAM_TRY(finished(db_, read), "next id");
  return id;
}

Result<void> Store::put(const SliceRow& row) {
  if (auto raised = raise_next_id(row.id); !raised) return raised;
  return Statement(db_, "INSERT OR REPLACE INTO slice VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
      .bind(row.id, row.token[0], row.token[1], row.name, row.owner, row.quota, join(row.devices), row.creator_pid,
            row.creator_start, row.class_name, row.terms.share_ppm, row.terms.cap_ppm, row.terms.priority,
            row.terms.slo.bound_ns, row.terms.slo.quantile_ppm, row.reliable)
      .run();
}

Result<void> Store::set_terms(uint64_t slice, uint64_t quota, const model::Terms& terms) {
  return Statement(db_, "UPDATE slice SET quota=?, share=?, cap=?, priority=?, slo=?, quantile=? WHERE id=?")
      .bind(quota, terms.share_ppm, terms.cap_ppm, terms.priority, terms.slo.bound_ns, terms.slo.quantile_ppm, slice)
      .run();
}

Result<void> Store::set_devices(uint64_t slice, const std::vector<std::string>& devices) {
  return Statement(db_, "UPDATE slice SET devices=? WHERE id=?").bind(join(devices), slice).run();
}

Result<void> Store::put(const SessionRow& row) {
  if (auto raised = raise_next_id(row.id); !raised) return raised;
  return Statement(db_, "INSERT OR REPLACE INTO session VALUES (?,?,?,?,?,?,?,?,?,?,?)")
      .bind(row.id, row.slice, row.uid, row.program, row.worker_pid, row.client_pid, row.worker_start, row.client_start,
            row.granted, row.opened_unix_ms, join(row.devices))
      .run();
}

Result<void> Store::put(const WithheldRow& row) {
  return Statement(db_, "INSERT OR REPLACE INTO withheld VALUES (?,?,?,?,?,?)")
      .bind(row.backend, row.library, row.driver_index, row.device_index, row.as, row.why)
      .run();
}

Result<void> Store::drop_withheld(const WithheldRow& row) {
  return Statement(db_, "DELETE FROM withheld WHERE backend=? AND library=? AND driver=? AND device=?")
      .bind(row.backend, row.library, row.driver_index, row.device_index)
      .run();
}

Result<std::vector<WithheldRow>> Store::withheld() {
  std::vector<WithheldRow> rows;
  Statement read(db_, "SELECT * FROM withheld");
  while (read.next()) {
    WithheldRow& row = rows.emplace_back();
    read.read(row.backend, row.library, row.driver_index, row.device_index, row.as, row.why);
    if (row.as != model::Health::kCordoned) row.as = model::Health::kDrained;
  }
  AMALGAM_TRY(finished(db_, read), "withheld devices");
  return rows;
}

Result<void> Store::set_granted(uint64_t session, uint64_t granted) {
  return Statement(db_, "UPDATE session SET granted=? WHERE id=?").bind(granted, session).run();
}

Result<void> Store::drop_slice(uint64_t id) { return Statement(db_, "DELETE FROM slice WHERE id=?").bind(id).run(); }
Result<void> Store::drop_session(uint64_t id) { return Statement(db_, "DELETE FROM session WHERE id=?").bind(id).run(); }

Result<void> Store::put_hardware(const std::vector<model::Device>& devices, const std::vector<PoolRow>& pools) {
  AMALGAM_TRY(execute(db_, "BEGIN; DELETE FROM device; DELETE FROM pool;"), "put hardware");
  Result<void> written;
  for (size_t i = 0; i < devices.size() && written; ++i) {
    model::Device plain = devices[i];
    plain.properties.clear();
    std::vector<std::byte> bytes(kMaxDeviceRow);
    bytes.resize(protocol::encode(plain, bytes));
    written = Statement(db_, "INSERT INTO device VALUES (?,?)").bind(i, std::span<const std::byte>(bytes)).run();
  }
  for (size_t i = 0; i < pools.size() && written; ++i)
    written = Statement(db_, "INSERT INTO pool VALUES (?,?)").bind(pools[i].name, pools[i].capacity).run();
  auto ended = execute(db_, written ? "COMMIT" : "ROLLBACK");
  return written ? ended : written;
}

Result<std::vector<SliceRow>> Store::slices() {
  std::vector<SliceRow> rows;
  Statement read(db_,
                 "SELECT id, token0, token1, name, owner, quota, devices, creator_pid, creator_start, class, share, cap, "
                 "priority, slo, quantile, reliable FROM slice ORDER BY id");
  while (read.next()) {
    SliceRow& row = rows.emplace_back();
    std::string devices;
    read.read(row.id, row.token[0], row.token[1], row.name, row.owner, row.quota, devices, row.creator_pid,
              row.creator_start, row.class_name, row.terms.share_ppm, row.terms.cap_ppm, row.terms.priority,
              row.terms.slo.bound_ns, row.terms.slo.quantile_ppm, row.reliable);
    row.devices = split(devices);
  }
  AMALGAM_TRY(finished(db_, read), "slices");
  return rows;
}

Result<std::vector<SessionRow>> Store::sessions() {
  std::vector<SessionRow> rows;
  Statement read(db_, "SELECT * FROM session ORDER BY id");
  while (read.next()) {
    SessionRow& row = rows.emplace_back();
    std::string devices;
    read.read(row.id, row.slice, row.uid, row.program, row.worker_pid, row.client_pid, row.worker_start, row.client_start,
              row.granted, row.opened_unix_ms, devices);
    row.devices = split(devices);
  }
  AMALGAM_TRY(finished(db_, read), "sessions");
  return rows;
}

Result<std::vector<model::Device>> Store::devices() {
  std::vector<model::Device> devices;
  Statement read(db_, "SELECT bytes FROM device ORDER BY position");
  while (read.next()) {
    std::vector<std::byte> bytes;
    read.read(bytes);
    model::Device device;
    if (protocol::decode(bytes, device)) devices.push_back(std::move(device));
  }
  AMALGAM_TRY(finished(db_, read), "devices");
  return devices;
}

Result<std::vector<PoolRow>> Store::pools() {
  std::vector<PoolRow> rows;
  Statement read(db_, "SELECT * FROM pool ORDER BY name");
  while (read.next()) {
    PoolRow& row = rows.emplace_back();
    read.read(row.name, row.capacity);
  }
  AMALGAM_TRY(finished(db_, read), "pools");
  return rows;
}

}  // namespace amalgam::daemon
