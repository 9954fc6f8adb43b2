// Archives of NumPy's: the parts of the zip format that they use.
#include "resnet/exchange/npz.h"

#include <zlib.h>

#include <algorithm>
#include <set>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50, kEntrySignature = 0x02014b50,
                   kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22, kEntryBytes = 46, kLocalBytes = 30;  // without texts
constexpr size_t kMostComment = 65535;
constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr uint16_t kEncrypted = 1;         // flag
constexpr uint64_t kMostDeflation = 1032;  // bytes that deflate makes of one, at most

struct Entry {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  size_t size = 0;            // unpacked
  size_t begin = 0, end = 0;  // of the packed bytes in the file
};

class Archive {
 public:
  Archive(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  std::vector<Entry> entries() const {
    const size_t end = find_end();
    const size_t count = u16(end + 10);
    size_t at = u32(end + 16);
    if (u16(end + 4) != 0 || u16(end + 6) != 0 || u16(end + 8) != count) {
      fail("an archive in several parts");
    }
    if (count == 0xFFFF || at == 0xFFFFFFFF) fail("an archive of zip64 form (4 GiB and more)");
    std::vector<Entry> entries;
    std::set<std::string> names;
    for (size_t i = 0; i < count; ++i) {
      require(at, kEntryBytes);
      if (u32(at) != kEntrySignature) fail("the list of its entries is damaged");
      const size_t texts = size_t{u16(at + 28)} + u16(at + 30) + u16(at + 32);
      require(at + kEntryBytes, texts);
      entries.push_back(read_entry(at));
      if (!names.insert(entries.back().name).second) {
        fail("the entry '" + entries.back().name + "' is there twice");
      }
      at += kEntryBytes + texts;
    }
    check_apart(entries);
    return entries;
  }

  std::string unpacked(const Entry& entry) const {
    const std::string_view packed = bytes_.substr(entry.begin, entry.end - entry.begin);
    std::string out = entry.method == kStored ? std::string(packed) : inflated(entry, packed);
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
    if (crc != entry.crc) fail("entry '" + entry.name + "' is damaged (CRC-32)");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& fact) const { throw DataError(path_ + ": " + fact); }

  void require(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) fail("the archive is truncated");
  }
  uint32_t byte(size_t i) const { return static_cast<unsigned char>(bytes_[i]); }
  uint16_t u16(size_t i) const { return static_cast<uint16_t>(byte(i) | byte(i + 1) << 8); }
  uint32_t u32(size_t i) const { return u16(i) | static_cast<uint32_t>(u16(i + 2)) << 16; }

  // The record at the end of the file, behind which only its comment lies.
  size_t find_end() const {
    if (bytes_.size() < kEndBytes) fail("not an .npz file (a zip archive)");
    const size_t last = bytes_.size() - kEndBytes;
    const size_t first = last > kMostComment ? last - kMostComment : 0;
    for (size_t at = last + 1; at-- > first;) {
      if (u32(at) == kEndSignature && at + kEndBytes + u16(at + 20) == bytes_.size()) return at;
    }
    fail("not an .npz file (a zip archive), or a truncated one");
  }

  Entry read_entry(size_t at) const {
    Entry entry;
    entry.name = bytes_.substr(at + kEntryBytes, u16(at + 28));
    const std::string what = "entry '" + entry.name + "' ";
    if ((u16(at + 8) & kEncrypted) != 0) fail(what + "is encrypted");
    entry.method = u16(at + 10);
    if (entry.method != kStored && entry.method != kDeflated) {
      fail(what + "is compressed by method " + std::to_string(entry.method) +
           "; np.savez_compressed() uses deflate");
    }
    entry.crc = u32(at + 16);
    const size_t packed = u32(at + 20), local = u32(at + 42);
    entry.size = u32(at + 24);
    if (packed == 0xFFFFFFFF || entry.size == 0xFFFFFFFF || local == 0xFFFFFFFF) {
      fail(what + "is of zip64 form (4 GiB and more)");
    }
    if (entry.method == kStored ? entry.size != packed : entry.size > packed * kMostDeflation) {
      fail(what + "cannot have the size that it states");
    }
    require(local, kLocalBytes);
    if (u32(local) != kLocalSignature) fail(what + "is not where the list says");
    entry.begin = local + kLocalBytes + u16(local + 26) + u16(local + 28);
    require(entry.begin, packed);
    entry.end = entry.begin + packed;
    return entry;
  }

  // Entries that share bytes are how small files become huge.
  void check_apart(const std::vector<Entry>& entries) const {
    std::vector<std::pair<size_t, size_t>> ranges;
    ranges.reserve(entries.size());
    for (const Entry& entry : entries) ranges.emplace_back(entry.begin, entry.end);
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].first < ranges[i - 1].second) fail("its entries overlap");
    }
  }

  std::string inflated(const Entry& entry, std::string_view packed) const {
    z_stream stream = {};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("zlib does not start");
    std::string out(entry.size, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int status = ::inflate(&stream, Z_FINISH);
    const bool complete = status == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
    inflateEnd(&stream);
    if (!complete) fail("entry '" + entry.name + "' is damaged, or not as large as it states");
    return out;
  }

  std::string_view bytes_;
  const std::string& path_;
};

}  // namespace

TensorFile parse_npz(std::string_view bytes, const std::string& path) {
  constexpr std::string_view kSuffix = ".npy";
  const Archive archive(bytes, path);
  TensorFile file{path, {}, {}};
  for (const Entry& entry : archive.entries()) {
    if (!entry.name.ends_with(kSuffix)) {
      throw DataError(path + ": entry '" + entry.name + "' is no array (.npy)");
    }
    NamedTensor tensor = parse_npy(archive.unpacked(entry), path + ": array '" + entry.name + "'");
    tensor.name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    file.tensors.push_back(std::move(tensor));
  }
  return file;
}

TensorFile read_npz(const std::string& path) { return parse_npz(read_file(path), path); }

}  // namespace resnet
