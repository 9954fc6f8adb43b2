#include "resnet/data/convert.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "data/conversion_state.h"
#include "data/digest.h"
#include "data/lmdb_appender.h"
#include "data/lmdb_format.h"
#include "data/permutation.h"
#include "data/prepare_image.h"
#include "data/sources.h"
#include "resnet/base/parallel.h"
#include "resnet/io/files.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr const char* kStateFile = "conversion.txt";
constexpr const char* kBadFile = "bad_images.txt";
constexpr int64_t kSample = 64;  // images that tell how large the set will be

std::string join(const std::string& folder, const char* name) {
  return (fs::path(folder) / name).string();
}

// The folder in which a set grows, held by one process at a time.
class GrowingFolder {
 public:
  explicit GrowingFolder(const std::string& path) : path_(path) {
    std::error_code failed;
    fs::create_directories(path, failed);
    if (failed) throw DataError(path + ": " + failed.message());
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) throw DataError(path + ": " + std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(descriptor_);
      throw ConfigError(path + ": another process is converting into it; wait for its end");
    }
  }
  ~GrowingFolder() { ::close(descriptor_); }
  GrowingFolder(const GrowingFolder&) = delete;
  GrowingFolder& operator=(const GrowingFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return join(path_, name); }

  void clear_except(const std::string& kept = "") const {
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().filename() != kept) fs::remove_all(entry.path());
    }
  }

  void become(const std::string& path) const {
    std::error_code failed;
    fs::rename(path_, path, failed);
    if (failed) throw DataError(path + ": " + failed.message());
    const int parent = ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return;
    ::fsync(parent);
    ::close(parent);
  }

 private:
  std::string path_;
  int descriptor_;
};

void append_durably(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const bool written =
      file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  if (!written) throw DataError(path + ": cannot write: " + std::strerror(error));
}

void truncate_to(const std::string& path, uint64_t size) {
  std::error_code failed;
  if (size == 0) {
    fs::remove(path, failed);
  } else {
    fs::resize_file(path, size, failed);
  }
  if (failed) throw DataError(path + ": " + failed.message());
}

// What makes two conversions the same.
uint64_t identity_of(const DataSource& source, const ConvertOptions& options) {
  Digest digest;
  const auto add = [&](const std::string& text) {
    digest.add({reinterpret_cast<const uint8_t*>(text.c_str()), text.size() + 1});
  };
  add(options.description);
  add(std::to_string(options.label_checksum));
  for (const int64_t value : {int64_t{options.raw}, options.shorter_side, int64_t{options.quality},
                              int64_t{options.exif_orientation}, int64_t{options.shuffle},
                              options.shuffle ? static_cast<int64_t>(options.seed) : 0}) {
    add(std::to_string(value));
  }
  for (const std::string& name : source.class_names()) add(name);
  for (int64_t i = 0; i < source.size(); ++i) add(source.key(i));
  return digest.value();
}

// Test hook: RESNET_TEST_CONVERT_DELAY_MS makes every batch take that much longer.
void delay_for_tests() {
  const char* delay_ms = std::getenv("RESNET_TEST_CONVERT_DELAY_MS");
  if (delay_ms != nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(atoi(delay_ms)));
}

class Conversion {
 public:
  Conversion(const DataSource& source, const std::string& output, const ConvertOptions& options,
             const ConvertHooks& hooks)
      : source_(source),
        output_(output),
        options_(options),
        hooks_(hooks),
        order_(options.seed, source.size(), options.shuffle),
        class_names_(source.class_names()),
        identity_(identity_of(source, options)) {}

  ConvertReport run() {
    if (is_complete_already()) return report();
    const GrowingFolder folder(output_ + ".tmp");
    if (!resume(folder)) start(folder);
    LmdbAppender lmdb(folder.path(), LmdbAppender::Sync::each);
    choose_state(folder, lmdb.size());
    require_room(output_, estimate_bytes(), prepare_directory_of(folder.file(kStateFile)));
    while (state_.position < source_.size()) {
      if (hooks_.stop && hooks_.stop()) return report();
      convert_batch(folder, lmdb);
      if (hooks_.progress) hooks_.progress(state_.position, source_.size());
    }
    refuse_if_mostly_bad(folder);
    folder.become(output_);
    return report();
  }

 private:
  bool is_complete_already() {
    if (!fs::exists(output_) || (fs::is_directory(output_) && fs::is_empty(output_))) return false;
    const auto file =
        fs::is_directory(output_) ? read_conversion(join(output_, kStateFile)) : std::nullopt;
    if (!file || file->identity != identity_) {
      throw ConfigError(output_ + ": exists already; remove it or choose another --output");
    }
    state_ = file->states.back();
    return true;
  }

  // Whether the folder holds a part of this conversion. One that was never under way is none.
  bool resume(const GrowingFolder& folder) {
    const auto file = read_conversion(folder.file(kStateFile));
    if (!file) return false;
    if (file->identity != identity_) {
      throw ConfigError(output_ + ".tmp: holds a part of another conversion (" + file->description +
                        "): finish that one with the same options, or remove " + "the folder");
    }
    states_ = file->states;
    return true;
  }

  void start(const GrowingFolder& folder) {
    folder.clear_except();
    if (!class_names_.empty()) write_class_names(folder.file(kLmdbNames), class_names_);
    states_ = {ConversionState{}};
    save(folder);
  }

  void save(const GrowingFolder& folder) const {
    write_conversion(folder.file(kStateFile), {options_.description, identity_, states_});
  }

  // The newest state that agrees with the database.
  void choose_state(const GrowingFolder& folder, int64_t records) {
    const auto found =
        std::find_if(states_.rbegin(), states_.rend(),
                     [&](const ConversionState& state) { return state.records == records; });
    if (found == states_.rend()) {
      throw DataError(output_ + ".tmp: damaged: the database has " + std::to_string(records) +
                      " records; remove the folder and convert again");
    }
    state_ = *found;
    truncate_to(folder.file(kBadFile), state_.bad_bytes);
    if (state_.position > 0) {
      LOG(INFO) << output_ << ": going on after " << state_.position << " of " << source_.size()
                << " images";
    }
  }

  std::vector<PreparedImage> prepare(const std::vector<int64_t>& images) const {
    std::vector<PreparedImage> prepared(images.size());
    parallel_for(static_cast<int64_t>(images.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        prepared[at] = prepare_image(source_, images[at], options_);
      }
    });
    return prepared;
  }

  // Bytes that the rest of the set will take, from a sample of it.
  int64_t estimate_bytes() const {
    const int64_t left = source_.size() - state_.position;
    const int64_t count = std::min(kSample, left);
    std::vector<int64_t> images;
    for (int64_t k = 0; k < count; ++k) {
      images.push_back(order_.records(state_.position + k * left / count, 1)[0]);
    }
    constexpr int64_t kPage = 4096, kHead = 128;
    int64_t bytes = 0;
    for (const PreparedImage& image : prepare(images)) {
      // Small records share a page; large ones have pages of their own.
      const int64_t size = static_cast<int64_t>(image.record.bytes.size()) + kHead;
      bytes += size < kPage / 2 ? size : (size + kPage - 1) / kPage * kPage + kHead;
    }
    return count == 0 ? 0 : bytes * left / count;
  }

  void convert_batch(const GrowingFolder& folder, LmdbAppender& lmdb) {
    const int64_t count = std::min(options_.batch, source_.size() - state_.position);
    ConversionState next = state_;
    std::vector<LmdbItem> items;
    std::string bad_lines;
    for (const PreparedImage& image : prepare(order_.records(state_.position, count))) {
      if (!image.problem.empty()) {
        bad_lines += image.record.key + ": " + image.problem + '\n';
        ++next.bad;
        continue;
      }
      if (!image.oddity.empty() && next.odd++ == 0) {
        LOG(WARNING) << source_.name() << ": " << image.record.key << ": " << image.oddity
                     << "; kept, as all such files";
      }
      count_label(image.record, &next);
      next.digest = combined(next.digest, image.hash);
      items.push_back(lmdb_item(next.records++, image.record));
    }
    if (!bad_lines.empty()) append_durably(folder.file(kBadFile), bad_lines);
    next.bad_bytes += bad_lines.size();
    next.position += count;
    states_ = {state_, next};
    save(folder);
    crash_point("convert_noted");
    if (!items.empty()) lmdb.append(items);
    crash_point("convert_written");
    state_ = std::move(next);
    delay_for_tests();
  }

  void count_label(const Record& record, ConversionState* state) const {
    const auto label = static_cast<size_t>(record.label);
    if (!class_names_.empty() && label >= class_names_.size()) {
      throw DataError(source_.name() + ": record " + record.key + ": has label " +
                      std::to_string(label) + ", but there are " +
                      std::to_string(class_names_.size()) + " class names");
    }
    if (label >= state->labels.size()) state->labels.resize(label + 1);
    ++state->labels[label];
  }

  static uint64_t combined(uint64_t digest, uint64_t hash) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(hash >> (8 * i));
    Digest sum(digest);
    sum.add(bytes);
    return sum.value();
  }

  // Keeps the list of what is bad, so that it can be read, and nothing else.
  void refuse_if_mostly_bad(const GrowingFolder& folder) const {
    if (2 * state_.bad <= state_.position) return;
    folder.clear_except(kBadFile);
    throw DataError(source_.name() + ": " + std::to_string(state_.bad) + " of " +
                    std::to_string(state_.position) + " images are bad; " + folder.file(kBadFile) +
                    " names them");
  }

  ConvertReport report() const {
    return {.images = source_.size(),
            .done = state_.position,
            .records = state_.records,
            .bad = state_.bad,
            .odd = state_.odd,
            .labels = state_.labels,
            .digest = state_.digest};
  }

  const DataSource& source_;
  std::string output_;
  const ConvertOptions& options_;
  const ConvertHooks& hooks_;
  StreamOrder order_;
  std::vector<std::string> class_names_;
  uint64_t identity_;
  std::vector<ConversionState> states_;  // as in the file
  ConversionState state_;
};

// "a/b/" and "a/b" are one folder, and the temporary one lies beside it.
std::string without_slash(const std::string& path) {
  return (fs::path(path) / "").parent_path().string();
}

std::string gib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

}  // namespace

ConvertReport convert_images(const DataSource& source, const std::string& output,
                             const ConvertOptions& options, const ConvertHooks& hooks) {
  return Conversion(source, without_slash(output), options, hooks).run();
}

void require_room(const std::string& path, int64_t needed, int64_t free) {
  if (needed <= free) return;
  throw DataError(path + ": needs about " + gib(needed) + ", but the disk has " + gib(free) +
                  " free: free some space or write to another disk");
}

}  // namespace resnet
