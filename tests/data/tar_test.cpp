// Images straight from tar files, and the index beside them.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "data/image_set_util.h"
#include "data/tar_index.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

class TarSource : public ::testing::Test {
 protected:
  TarSource() : tar(dir / "set.tar") {
    write_files(dir / "set", {{"b/2.jpg", "B2"},
                              {"b/1.jpg", std::string(1000, 'x')},
                              {"a/1.JPEG", "A1"},
                              {"a/notes.txt", "no image"}});
  }
  SourcePtr open(const std::string& label_file = "") const {
    LayerParameter layer = data_layer(tar, DataParameter::TAR);
    if (!label_file.empty()) layer.mutable_data_param()->set_label_file(label_file);
    return open_source(layer, TRAIN, dir.path());
  }
  std::string error(const std::string& label_file = "") const {
    return error_of<DataError>([&] { open(label_file); });
  }
  void overwrite(uint64_t offset, const std::string& bytes) const {
    std::fstream file(tar, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
  }
  std::string index_path() const { return tar + ".index"; }
  bool index_is_current() const {
    const TarIndex index = build_tar_index(InputFile(tar));
    const std::string kept = read_file(index_path());
    return kept.starts_with(index.SerializeAsString());
  }
  static std::string read_file(const std::string& path) {
    const auto bytes = read_binary<char>(path);
    return {bytes.begin(), bytes.end()};
  }

  const Strings kContents = {"a/1.JPEG 0 A1", "b/1.jpg 1 " + std::string(1000, 'x'),
                             "b/2.jpg 1 B2"};
  ScratchDirectory dir;
  std::string tar;
};

TEST_F(TarSource, ClassFoldersAreTheSameInEveryFormat) {
  for (const std::string options :
       {"--format=ustar", "--format=gnu", "--format=pax", "--format=v7", "--format=oldgnu"}) {
    for (const std::string what : {"a b", "b a", "."}) {
      pack(tar, dir / "set", what, options);
      const SourcePtr source = open();
      EXPECT_EQ(contents(*source), kContents) << options << " " << what;
      EXPECT_EQ(source->class_names(), (Strings{"a", "b"}));
    }
  }
  EXPECT_EQ(contents(*open_source(tar, TEST)), contents(*open_source(dir / "set", TEST)));
}

TEST_F(TarSource, AFolderThatHoldsAllOthersIsSkipped) {
  pack(tar, dir.path(), "set");
  EXPECT_EQ(contents(*open()), kContents);
}

TEST_F(TarSource, ATarFileForEachClass) {
  pack(dir / "b.tar", dir / "set/b", "2.jpg 1.jpg");
  pack(dir / "a.tar", dir / "set/a", "./1.JPEG ./notes.txt");
  pack(tar, dir.path(), "b.tar a.tar");
  const SourcePtr source = open();
  EXPECT_EQ(contents(*source), kContents);
  EXPECT_EQ(source->class_names(), (Strings{"a", "b"}));
}

TEST_F(TarSource, LongNames) {
  const std::string folder = std::string(90, 'd') + "/" + std::string(60, 'e');
  const std::string name = folder + "/" + std::string(200, 'n') + ".jpg";
  write_files(dir / "long", {{"c/" + name, "long"}, {"d/1.jpg", "short"}});
  for (const std::string options : {"--format=gnu", "--format=pax"}) {
    pack(tar, dir / "long", "c d", options);
    EXPECT_EQ(contents(*open()), (Strings{"c/" + name + " 0 long", "d/1.jpg 1 short"}));
  }
  const std::string fits_ustar = folder + "/" + std::string(50, 'n') + ".jpg";
  write_files(dir / "ustar", {{"c/" + fits_ustar, "prefix"}});
  pack(tar, dir / "ustar", "c", "--format=ustar");
  EXPECT_EQ(open()->read(0).bytes.size(), 6u);
  EXPECT_TRUE(open()->key(0).ends_with(std::string(50, 'n') + ".jpg"));
}

TEST_F(TarSource, LabelsFromAFile) {
  write_files(dir.path(), {{"flat/v2.jpg", "2"}, {"flat/v1.jpg", "1"}});
  pack(tar, dir / "flat", "v2.jpg v1.jpg");
  EXPECT_ONE_LINE(error(), tar, "'v1.jpg'", "label_file");
  write_files(dir.path(), {{"labels.txt", "v1.jpg 5\nv2.jpg 3\n"}});
  EXPECT_EQ(contents(*open("labels.txt")), (Strings{"v1.jpg 5 1", "v2.jpg 3 2"}));
  write_files(dir.path(), {{"labels.txt", "v1.jpg 5\n"}});
  EXPECT_ONE_LINE(error("labels.txt"), "labels.txt", "no line", "'v2.jpg'");
  EXPECT_ONE_LINE(error("none.txt"), "none.txt");

  // By the last part of the path, unless that is ambiguous; by the whole path in any case.
  pack(tar, dir.path(), "flat");
  write_files(dir.path(), {{"labels.txt", "val/v1.jpg 5\nval/v2.jpg 3\n"}});
  EXPECT_EQ(contents(*open("labels.txt")), (Strings{"flat/v1.jpg 5 1", "flat/v2.jpg 3 2"}));
  EXPECT_TRUE(open("labels.txt")->class_names().empty());
  write_files(dir.path(), {{"labels.txt", "val/v1.jpg 5\nflat/v2.jpg 3\ntest/v1.jpg 6\n"}});
  EXPECT_ONE_LINE(error("labels.txt"), "several labels", "'flat/v1.jpg'");
}

TEST_F(TarSource, TheIndexIsKept) {
  pack(tar, dir / "set", "a b");
  open();
  ASSERT_TRUE(fs::exists(index_path()));
  EXPECT_TRUE(index_is_current());
  // The next opening reads no headers: damage them and keep size and time.
  struct stat before = {};
  ASSERT_EQ(stat(tar.c_str(), &before), 0);
  overwrite(0, std::string(512, '\xff'));
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, tar.c_str(), times, 0), 0);
  EXPECT_EQ(contents(*open()), kContents);
}

TEST_F(TarSource, AnIndexThatDoesNotFitIsMadeAgain) {
  pack(tar, dir / "set", "a b");
  open();
  const std::string good = read_file(index_path());
  // Of another file, by its time.
  fs::last_write_time(tar, fs::last_write_time(tar) + std::chrono::seconds(1));
  EXPECT_EQ(contents(*open()), kContents);
  EXPECT_NE(read_file(index_path()), good);
  EXPECT_TRUE(index_is_current());
  // Of another file, by its size.
  pack(tar, dir / "set", "b");
  EXPECT_EQ(open()->size(), 2);
  // Cut and changed at every place.
  pack(tar, dir / "set", "a b");
  open();
  const std::string whole = read_file(index_path());
  for (size_t i = 0; i < whole.size(); i += 7) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x11);
    write_text(index_path(), i % 2 ? damaged : whole.substr(0, i));
    ASSERT_EQ(contents(*open()), kContents) << i;
    ASSERT_EQ(read_file(index_path()), whole);
  }
}

TEST_F(TarSource, WorksWhereNothingCanBeWritten) {
  pack(tar, dir / "set", "a b");
  fs::create_directory(index_path());  // in the place of the index
  EXPECT_EQ(contents(*open()), kContents);
  for (const auto& entry : fs::directory_iterator(dir.path())) {
    EXPECT_EQ(entry.path().string().find(".index."), std::string::npos) << "left behind";
  }
}

TEST_F(TarSource, NamesWhatCannotBeRead) {
  pack(tar, dir / "set", "a b");
  fs::resize_file(tar, 1024);
  EXPECT_ONE_LINE(error(), tar, "truncated");
  fs::resize_file(tar, 1024 + 100);
  EXPECT_ONE_LINE(error(), tar, "truncated");
  pack(tar, dir / "set", "a b");
  overwrite(5, "x");
  EXPECT_ONE_LINE(error(), tar, "byte 0", "damaged");
  write_text(tar, "");
  EXPECT_ONE_LINE(error(), tar, "truncated");
  pack(tar, dir / "set", "a/notes.txt");
  EXPECT_ONE_LINE(error(), tar, "no images");
  pack(tar, dir / "set", "a b", "--gzip");
  EXPECT_ONE_LINE(error(), tar, "gzip", "decompress");
  EXPECT_FALSE(fs::exists(index_path()));
}

TEST_F(TarSource, RefusesLinksAndSparseFiles) {
  fs::create_hard_link(dir / "set/a/1.JPEG", dir / "set/a/2.jpg");
  pack(tar, dir / "set", "a b");
  EXPECT_ONE_LINE(error(), tar, "link", "--dereference");
  fs::remove(dir / "set/a/2.jpg");
  fs::create_symlink("1.JPEG", dir / "set/a/2.jpg");
  pack(tar, dir / "set", "a b");
  EXPECT_ONE_LINE(error(), tar, "link");
  fs::remove(dir / "set/a/2.jpg");
  write_text(dir / "set/a/3.jpg", "x");
  fs::resize_file(dir / "set/a/3.jpg", 1 << 20);
  for (const std::string format : {"--format=gnu", "--format=pax"}) {
    pack(tar, dir / "set", "a b", "--sparse " + format);
    EXPECT_ONE_LINE(error(), tar, "sparse");
  }
}

TEST_F(TarSource, DamageAnywhereIsAnErrorOrHarmless) {
  pack(tar, dir / "set", "a b", "--format=pax");
  const std::string whole = read_file(tar);
  for (size_t i = 0; i < whole.size(); i += 61) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    write_text(tar, i % 2 ? damaged : whole.substr(0, i));
    fs::remove(index_path());
    try {
      const SourcePtr source = open();
      for (int64_t k = 0; k < source->size(); ++k) source->read(k);
    } catch (const DataError&) {
      // Says what is wrong.
    }
  }
}

TEST_F(TarSource, SizesInBinary) {
  // tar(1) writes sizes of 8 GiB and more so; the bytes of a sparse file take no room.
  const uint64_t gap = uint64_t{9} << 30;
  write_files(dir.path(), {{"c/1.jpg", "after the gap"}});
  pack(tar, dir.path(), "c/1.jpg", "--format=gnu");
  const std::string small = read_file(tar);
  // The header of an entry "skip" of that size, as GNU tar writes it.
  std::string header(512, '\0');
  header.replace(0, 4, "skip");
  header.replace(124, 12, std::string("\x80\0\0\0\0\0\0\x02\x40\0\0\0", 12));
  header[156] = '0';
  header.replace(257, 8, "ustar  ");
  header.replace(148, 8, 8, ' ');
  uint32_t sum = 0;
  for (const char c : header) sum += static_cast<uint8_t>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  header.replace(148, 7, std::string(digits, 7));
  write_text(tar, header);
  fs::resize_file(tar, 512 + gap);
  std::ofstream(tar, std::ios::binary | std::ios::app) << small;
  EXPECT_EQ(contents(*open()), (Strings{"c/1.jpg 0 after the gap"}));
}

}  // namespace
}  // namespace resnet::testing
