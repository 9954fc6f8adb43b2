// LMDB folders of Datum messages, as Caffe's convert_imageset writes them.
#include <lmdb.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <string_view>

#include "data/lmdb_format.h"
#include "data/sources.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

// An open environment with the place of every record. The read transaction lasts as long as the
// object, so keys and values stay where they are in the memory map and reading one takes no call of
// LMDB. The database must not be written meanwhile: it is opened without locks, which lets it lie
// on read-only and network file systems.
class LmdbIndex {
 public:
  explicit LmdbIndex(const std::string& path) : path_(path) {
    const fs::path file = fs::path(path) / kLmdbFile;
    if (!fs::exists(file)) {
      throw DataError(path +
                      (fs::exists(path) ? ": no LMDB here (no data.mdb)" : ": no such folder"));
    }
    // LMDB trusts the sizes in the file; an empty or short one would end in a fault.
    if (fs::file_size(file) == 0) throw DataError(file.string() + ": empty file");
    check(mdb_env_create(&environment_));
    try {
      open(fs::file_size(file));
    } catch (...) {
      close();
      throw;
    }
  }
  ~LmdbIndex() { close(); }
  LmdbIndex(const LmdbIndex&) = delete;
  LmdbIndex& operator=(const LmdbIndex&) = delete;

  struct Entry {
    std::string_view key, value;  // in the memory map
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void open(uint64_t file_bytes) {
    check(mdb_env_open(environment_, path_.c_str(),
                       MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK | MDB_NORDAHEAD, 0664));
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(environment_, &info));
    check(mdb_env_stat(environment_, &stat));
    const uint64_t needed = (info.me_last_pgno + 1) * stat.ms_psize;
    if (file_bytes < needed) {
      throw DataError(path_ + ": data.mdb is truncated: it has " + std::to_string(file_bytes) +
                      " bytes of " + std::to_string(needed));
    }
    MDB_dbi database;
    check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction_));
    check(mdb_dbi_open(transaction_, nullptr, 0, &database));
    check(mdb_stat(transaction_, database, &stat));
    if (stat.ms_entries == 0) throw DataError(path_ + ": the data set is empty");
    entries_.reserve(stat.ms_entries);
    list_entries(database);
  }

  void list_entries(MDB_dbi database) {
    MDB_cursor* cursor;
    check(mdb_cursor_open(transaction_, database, &cursor));
    MDB_val key, value;
    int status;
    while ((status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
      entries_.push_back({{static_cast<const char*>(key.mv_data), key.mv_size},
                          {static_cast<const char*>(value.mv_data), value.mv_size}});
    }
    mdb_cursor_close(cursor);
    if (status != MDB_NOTFOUND) check(status);
  }

  void check(int status) const {
    if (status != MDB_SUCCESS) throw DataError(path_ + ": " + mdb_strerror(status));
  }

  void close() {
    if (transaction_) mdb_txn_abort(transaction_);
    if (environment_) mdb_env_close(environment_);
  }

  std::string path_;
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  std::vector<Entry> entries_;
};

// LMDB allows one environment per path and process: sources of one path share it.
std::shared_ptr<const LmdbIndex> shared_index(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const LmdbIndex>> open;
  const std::lock_guard lock(mutex);
  std::error_code none;
  auto& slot = open[fs::weakly_canonical(path, none).string()];
  auto index = slot.lock();
  if (!index) slot = index = std::make_shared<LmdbIndex>(path);
  return index;
}

class LmdbSource : public DataSource {
 public:
  explicit LmdbSource(const std::string& path)
      : path_(path),
        index_(shared_index(path)),
        class_names_(read_class_names((fs::path(path) / kLmdbNames).string())) {}

  std::string name() const override { return path_; }
  int64_t size() const override { return static_cast<int64_t>(index_->entries().size()); }
  std::vector<std::string> class_names() const override { return class_names_; }
  std::string key(int64_t i) const override { return std::string(entry(i).key); }

  Record read(int64_t i) const override {
    const auto& [key, value] = entry(i);
    Datum datum;
    if (!datum.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      throw record_error(path_, std::string(key), "damaged, or not an image (Datum) record");
    }
    Record record;
    record.key = key;
    record.label = datum.label();
    record.encoded = datum.encoded();
    record.bytes.assign(datum.data().begin(), datum.data().end());
    record.floats.assign(datum.float_data().begin(), datum.float_data().end());
    if (!record.encoded) record.shape = shape_of(datum);
    check(record);
    return record;
  }

 private:
  const LmdbIndex::Entry& entry(int64_t i) const {
    return index_->entries()[static_cast<size_t>(i)];
  }

  // Nonsense becomes the empty shape, which check() refuses.
  static Shape shape_of(const Datum& datum) {
    const auto sane = [](int32_t dim) { return dim > 0 && dim < (1 << 20); };
    if (!sane(datum.channels()) || !sane(datum.height()) || !sane(datum.width())) return {0, 0, 0};
    return {datum.channels(), datum.height(), datum.width()};
  }

  void check(const Record& record) const {
    const size_t values = record.bytes.size() + record.floats.size();
    if (record.encoded && record.bytes.empty()) {
      throw record_error(path_, record.key, "the encoded image is empty");
    }
    if (!record.encoded && (values == 0 || static_cast<int64_t>(values) != record.shape.count())) {
      throw record_error(
          path_, record.key,
          "has " + std::to_string(values) + " pixel values for shape " + record.shape.str());
    }
  }

  std::string path_;
  std::shared_ptr<const LmdbIndex> index_;
  std::vector<std::string> class_names_;
};

}  // namespace

bool is_lmdb(const std::string& path) { return fs::exists(fs::path(path) / kLmdbFile); }

SourcePtr open_lmdb(const std::string& path) { return std::make_shared<LmdbSource>(path); }

}  // namespace resnet
