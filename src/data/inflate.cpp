#include "data/inflate.h"

#include <zlib.h>

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;
constexpr int kZlibOrGzip = 32 + MAX_WBITS;  // recognised by the header

}  // namespace

std::string inflated(const std::string& name, std::string_view bytes) {
  z_stream stream = {};
  if (bytes.size() > kMaxBytes || inflateInit2(&stream, kZlibOrGzip) != Z_OK) {
    throw DataError(name + ": too large");
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int status = Z_OK;
  while (status == Z_OK && out.size() < kMaxBytes) {
    const size_t done = out.size();
    out.resize(done + (size_t{1} << 20));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(out.size() - done);
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END) throw DataError(name + ": compressed data is damaged or truncated");
  return out;
}

}  // namespace resnet
