// LMDB folders of Datum messages, as Caffe's convert_imageset writes them.
#include <lmdb.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "data/datum.h"
#include "data/input_file.h"
#include "data/lmdb_format.h"
#include "data/lmdb_keys.h"
#include "data/sources.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr uint64_t kKeyListRecords = 10000;  // fewer are listed in no time

// The memory map that holds `inside`, as the kernel tells, since LMDB does not; 0 if unknown.
uintptr_t map_begin(const void* inside) {
  const auto address = reinterpret_cast<uintptr_t>(inside);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0, offset = 0;  // "BEGIN-END PERMISSIONS OFFSET .."
    char permissions[8];
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %7s %" SCNxPTR, &begin, &end,
                    permissions, &offset) == 4 &&
        begin <= address && address < end) {
      return begin - offset;
    }
  }
  return 0;
}

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
    const InputFile data(file.string());
    version_.file_bytes = data.size();
    version_.file_time_ns = data.time_ns();
    // LMDB trusts the sizes in the file; an empty or short one would end in a fault.
    if (data.size() == 0) throw DataError(file.string() + ": empty file");
    check(mdb_env_create(&environment_));
    try {
      open();
    } catch (...) {
      close();
      throw;
    }
  }
  ~LmdbIndex() { close(); }
  LmdbIndex(const LmdbIndex&) = delete;
  LmdbIndex& operator=(const LmdbIndex&) = delete;

  size_t size() const { return places_.size(); }
  std::string_view key(int64_t i) const {
    const LmdbPlace& place = places_[static_cast<size_t>(i)];
    return {reinterpret_cast<const char*>(map_ + place.key), place.key_bytes};
  }
  std::string_view value(int64_t i) const {
    const LmdbPlace& place = places_[static_cast<size_t>(i)];
    return {reinterpret_cast<const char*>(map_ + place.value), place.value_bytes};
  }

 private:
  void open() {
    check(mdb_env_open(environment_, path_.c_str(),
                       MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK | MDB_NORDAHEAD, 0664));
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(environment_, &info));
    check(mdb_env_stat(environment_, &stat));
    const uint64_t needed = (info.me_last_pgno + 1) * stat.ms_psize;
    if (version_.file_bytes < needed) {
      throw DataError(path_ + ": data.mdb is truncated: it has " +
                      std::to_string(version_.file_bytes) + " bytes of " + std::to_string(needed));
    }
    MDB_dbi database;
    check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction_));
    check(mdb_dbi_open(transaction_, nullptr, 0, &database));
    check(mdb_stat(transaction_, database, &stat));
    if (stat.ms_entries == 0) throw DataError(path_ + ": the data set is empty");
    version_.transaction = info.me_last_txnid;
    version_.records = stat.ms_entries;
    MDB_cursor* cursor;
    check(mdb_cursor_open(transaction_, database, &cursor));
    const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> closed(cursor, mdb_cursor_close);
    load_places(cursor);
  }

  // From the list of an earlier time, or record by record.
  void load_places(MDB_cursor* cursor) {
    MDB_val key, value;
    check(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    map_ = map_begin(key.mv_data);
    const bool keeps_list = map_ != 0 && version_.records >= kKeyListRecords;
    if (keeps_list) {
      if (auto kept = read_key_list(path_, version_)) {
        places_ = std::move(*kept);
        return;
      }
    }
    int status = MDB_SUCCESS;
    for (; status == MDB_SUCCESS; status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
      add_place(key, value);
    }
    if (status != MDB_NOTFOUND) check(status);
    if (keeps_list) write_key_list(path_, version_, places_);
  }

  void add_place(const MDB_val& key, const MDB_val& value) {
    const LmdbPlace place{reinterpret_cast<uintptr_t>(key.mv_data) - map_,
                          reinterpret_cast<uintptr_t>(value.mv_data) - map_,
                          static_cast<uint32_t>(key.mv_size), static_cast<uint32_t>(value.mv_size)};
    if (map_ != 0 && !is_inside(place, version_.file_bytes)) {
      throw DataError(path_ + ": data.mdb is damaged at record " + std::to_string(places_.size()));
    }
    places_.push_back(place);
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
  LmdbVersion version_;
  uintptr_t map_ = 0;  // where it begins; 0 if unknown: then places hold addresses
  std::vector<LmdbPlace> places_;
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
  int64_t size() const override { return static_cast<int64_t>(index_->size()); }
  std::vector<std::string> class_names() const override { return class_names_; }
  std::string key(int64_t i) const override { return std::string(index_->key(i)); }

  Record read(int64_t i) const override {
    return parse_datum(index_->value(i), std::string(index_->key(i)), path_);
  }

 private:
  std::string path_;
  std::shared_ptr<const LmdbIndex> index_;
  std::vector<std::string> class_names_;
};

}  // namespace

bool is_lmdb(const std::string& path) { return fs::exists(fs::path(path) / kLmdbFile); }

SourcePtr open_lmdb(const std::string& path) { return std::make_shared<LmdbSource>(path); }

}  // namespace resnet
