#include "data/lmdb_appender.h"

#include <cstdio>
#include <filesystem>

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr size_t kFirstMapBytes = size_t{64} << 20;
constexpr size_t kMaxKeyBytes = 511;  // of LMDB as it is built everywhere

std::string serialised(const Record& record) {
  Datum datum;
  datum.set_label(static_cast<int32_t>(record.label));
  datum.set_encoded(record.encoded);
  if (!record.encoded) {
    datum.set_channels(static_cast<int32_t>(record.shape[0]));
    datum.set_height(static_cast<int32_t>(record.shape[1]));
    datum.set_width(static_cast<int32_t>(record.shape[2]));
  }
  if (!record.bytes.empty()) datum.set_data(record.bytes.data(), record.bytes.size());
  datum.mutable_float_data()->Add(record.floats.begin(), record.floats.end());
  return datum.SerializeAsString();
}

}  // namespace

LmdbItem lmdb_item(int64_t number, const Record& record) {
  char text[24];
  std::snprintf(text, sizeof text, "%08lld_", static_cast<long long>(number));
  return {(text + record.key).substr(0, kMaxKeyBytes), serialised(record)};
}

LmdbAppender::LmdbAppender(const std::string& path, Sync sync) : path_(path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) throw DataError(path + ": " + failed.message());
  check(mdb_env_create(&environment_));
  try {
    check(mdb_env_set_mapsize(environment_, kFirstMapBytes));
    const unsigned flags = sync == Sync::each ? MDB_NOLOCK : MDB_NOLOCK | MDB_NOSYNC;
    check(mdb_env_open(environment_, path.c_str(), flags, 0664));
  } catch (...) {
    mdb_env_close(environment_);
    throw;
  }
}

LmdbAppender::~LmdbAppender() { mdb_env_close(environment_); }

int64_t LmdbAppender::size() const {
  MDB_stat stat;
  check(mdb_env_stat(environment_, &stat));
  return static_cast<int64_t>(stat.ms_entries);
}

// As often as it takes with a larger map.
void LmdbAppender::append(std::vector<LmdbItem>& items) {
  int status;
  while ((status = try_append(items)) == MDB_MAP_FULL) {
    MDB_envinfo info;
    check(mdb_env_info(environment_, &info));
    check(mdb_env_set_mapsize(environment_, info.me_mapsize * 2));
  }
  check(status);
}

int LmdbAppender::try_append(std::vector<LmdbItem>& items) {
  MDB_txn* transaction;
  int status = mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (status != MDB_SUCCESS) return status;
  MDB_dbi database;
  status = mdb_dbi_open(transaction, nullptr, 0, &database);
  for (size_t i = 0; i < items.size() && status == MDB_SUCCESS; ++i) {
    MDB_val key{items[i].key.size(), items[i].key.data()};
    MDB_val value{items[i].value.size(), items[i].value.data()};
    status = mdb_put(transaction, database, &key, &value, MDB_APPEND);
  }
  if (status == MDB_SUCCESS) return mdb_txn_commit(transaction);
  mdb_txn_abort(transaction);
  return status;
}

void LmdbAppender::sync() { check(mdb_env_sync(environment_, 1)); }

void LmdbAppender::check(int status) const {
  if (status != MDB_SUCCESS) {
    throw DataError(path_ + ": cannot write (is the disk full?): " + mdb_strerror(status));
  }
}

}  // namespace resnet
