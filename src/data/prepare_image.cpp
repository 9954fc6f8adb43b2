#include "data/prepare_image.h"

#include <array>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "data/digest.h"
#include "data/image_names.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

struct FileKind {
  std::string_view magic, name;
  std::array<std::string_view, 3> extensions;  // lower case
};
constexpr std::array kKinds = {
    FileKind{"\xff\xd8\xff", "JPEG", {"jpg", "jpeg"}},
    FileKind{"\x89PNG", "PNG", {"png"}},
    FileKind{"BM", "BMP", {"bmp"}},
    FileKind{"GIF8", "GIF", {"gif"}},
    FileKind{"RIFF", "WebP", {"webp"}},
    FileKind{"P5", "PGM", {"pgm", "pnm", "ppm"}},
    FileKind{"P6", "PPM", {"ppm", "pnm"}},
};

// What a file's name says wrongly about it, or "".
std::string oddity_of(const Record& record) {
  const std::string_view bytes(reinterpret_cast<const char*>(record.bytes.data()),
                               record.bytes.size());
  const std::string name(name_part(record.key));
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {};
  const std::string extension = name.substr(dot + 1);
  std::string lower = extension;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const FileKind& kind : kKinds) {
    if (!bytes.starts_with(kind.magic)) continue;
    for (const std::string_view usual : kind.extensions) {
      if (lower == usual) return {};
    }
    return std::string(kind.name) + " file named ." + extension;
  }
  return {};
}

void encode_jpeg(Record& record, int quality) {
  const auto rows = static_cast<int>(record.shape[1]), columns = static_cast<int>(record.shape[2]);
  std::vector<cv::Mat> planes;
  for (int64_t c = 0; c < record.shape[0]; ++c) {
    planes.emplace_back(rows, columns, CV_8UC1,
                        record.bytes.data() + c * record.shape.count_from(1));
  }
  cv::Mat image;
  cv::merge(planes, image);
  std::vector<uint8_t> bytes;
  cv::imencode(".jpg", image, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
  record.bytes = std::move(bytes);
  record.shape = {};
  record.encoded = true;
}

uint64_t hash_of(const Record& record) {
  Digest digest;
  const auto add_text = [&](const std::string& text) {
    digest.add({reinterpret_cast<const uint8_t*>(text.c_str()), text.size() + 1});
  };
  add_text(record.key);
  add_text(std::to_string(record.label));
  add_text(record.encoded ? "encoded" : record.shape.str());
  digest.add(record.bytes);
  return digest.value();
}

}  // namespace

PreparedImage prepare_image(const DataSource& source, int64_t i, const ConvertOptions& options) {
  PreparedImage out;
  out.record.key = source.key(i);
  try {
    out.record = source.read(i);
    if (out.record.encoded) out.oddity = oddity_of(out.record);
    Record pixels = out.record;
    const bool as_it_is = !options.raw && options.shorter_side == 0;
    decode(pixels, as_it_is ? Decoding{} : Decoding{Colour::colour, options.exif_orientation},
           source.name());
    if (!as_it_is) {
      Preprocessing rule;
      rule.set_resize_rule(Preprocessing::SHORT_SIDE);
      rule.set_resize_size(static_cast<uint32_t>(options.shorter_side));
      resize(pixels, rule);
      out.record = std::move(pixels);
      if (!options.raw) encode_jpeg(out.record, options.quality);
    }
    out.hash = hash_of(out.record);
  } catch (const DataError& error) {
    out.problem = error.what();
    const std::string place = record_error(source.name(), out.record.key, "").what();
    if (out.problem.starts_with(place)) out.problem.erase(0, place.size());
  }
  return out;
}

}  // namespace resnet
