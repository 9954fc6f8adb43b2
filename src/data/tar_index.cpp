#include "data/tar_index.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "data/image_names.h"
#include "data/kept_file.h"
#include "data/tar_reader.h"
#include "resnet/base/error.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

struct Image {
  std::string path;  // CLASS/NAME
  uint64_t offset, size;
};

std::string_view top_of(const Image& image) {
  return std::string_view(image.path).substr(0, image.path.find('/'));
}

bool has_folder(const Image& image) { return image.path.find('/') != std::string::npos; }

class IndexBuilder {
 public:
  explicit IndexBuilder(const InputFile& tar) : tar_(tar) {}

  TarIndex build() {
    refuse_compressed();
    list(tar_.path(), "", 0, tar_.size());
    if (images_.empty()) throw DataError(tar_.path() + ": holds no images (JPEG, PNG, ..)");
    while (have_common_folder()) {
      for (Image& image : images_) image.path.erase(0, image.path.find('/') + 1);
    }
    std::sort(images_.begin(), images_.end(), [](const Image& a, const Image& b) {
      return std::pair(top_of(a), std::string_view(a.path)) <
             std::pair(top_of(b), std::string_view(b.path));
    });
    return index();
  }

 private:
  void refuse_compressed() const {
    std::array<uint8_t, 8> head{};
    const std::string kind = compression_of({head.data(), tar_.read(0, head)});
    if (!kind.empty()) {
      throw DataError(tar_.path() + ": compressed by " + kind +
                      ": records could not be read one by one; decompress it first");
    }
  }

  // Adds the images of the tar file at [begin, end), and of those inside it.
  void list(const std::string& name, const std::string& prefix, uint64_t begin, uint64_t end) {
    TarReader reader(
        name, [this](uint64_t at, std::span<uint8_t> out) { return tar_.read(at, out); }, begin,
        end);
    while (const auto entry = reader.next()) {
      std::string path = prefix;
      path += clean_path(entry->name);
      const bool is_tar = path.ends_with(".tar") && !name_part(path).starts_with('.');
      if (entry->kind == TarEntry::Kind::other || !(is_tar || is_image_name(path))) continue;
      if (entry->kind == TarEntry::Kind::link) refuse_link(name, path);
      if (!is_tar) {
        add({path, entry->offset, entry->size});
      } else if (prefix.empty()) {
        list_inner(path, *entry);
      }
    }
  }

  // The images of "b.tar" are those of folder "b".
  void list_inner(const std::string& path, const TarEntry& entry) {
    const std::string stem = path.substr(0, path.size() - 4);
    list(tar_.path() + ":" + path, stem + '/', entry.offset, entry.offset + entry.size);
  }

  [[noreturn]] static void refuse_link(const std::string& name, const std::string& path) {
    throw DataError(name + ": '" + path + "' is a link; pack the images with --dereference");
  }

  void add(Image image) {
    if (image.path.find('\n') != std::string::npos) {
      throw DataError(tar_.path() + ": the name of an image holds a line break");
    }
    images_.push_back(std::move(image));
  }

  // All images lie in one folder, and in further ones inside it.
  bool have_common_folder() const {
    const std::string_view top = top_of(images_.front());
    return std::all_of(images_.begin(), images_.end(), [&](const Image& image) {
      return top_of(image) == top && std::count(image.path.begin(), image.path.end(), '/') > 1;
    });
  }

  TarIndex index() const {
    TarIndex out;
    out.set_tar_bytes(tar_.size());
    out.set_tar_time_ns(tar_.time_ns());
    const bool has_classes = std::all_of(images_.begin(), images_.end(), has_folder);
    int32_t label = 0;
    for (const Image& image : images_) {
      if (has_classes &&
          (out.class_name().empty() || *out.class_name().rbegin() != top_of(image))) {
        label = out.class_name_size();
        out.add_class_name(std::string(top_of(image)));
      }
      out.add_offset(image.offset);
      out.add_size(image.size);
      out.add_label(label);
      *out.mutable_names() += image.path + '\n';
    }
    return out;
  }

  const InputFile& tar_;
  std::vector<Image> images_;
};

// Whether an index describes this file, and nothing in it points outside.
bool describes(const TarIndex& index, const InputFile& tar) {
  const int count = index.offset_size();
  const auto names = std::count(index.names().begin(), index.names().end(), '\n');
  if (index.tar_bytes() != tar.size() || index.tar_time_ns() != tar.time_ns() || count == 0 ||
      index.size_size() != count || index.label_size() != count || names != count) {
    return false;
  }
  const int32_t labels = std::max(index.class_name_size(), 1);
  for (int i = 0; i < count; ++i) {
    if (index.offset(i) > tar.size() || index.size(i) > tar.size() - index.offset(i)) return false;
    if (index.label(i) < 0 || index.label(i) >= labels) return false;
  }
  return true;
}

}  // namespace

TarIndex build_tar_index(const InputFile& tar) { return IndexBuilder(tar).build(); }

TarIndex load_tar_index(const InputFile& tar) {
  const std::string path = tar.path() + ".index";
  TarIndex index;
  if (const auto kept = read_kept_file(path)) {
    if (index.ParseFromString(*kept) && describes(index, tar)) return index;
  }
  index = build_tar_index(tar);
  write_kept_file(path, index.SerializeAsString());
  return index;
}

}  // namespace resnet
