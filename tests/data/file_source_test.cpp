// Images in class folders, and lists of images.
#include <filesystem>

#include "data/image_set_util.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

class FolderSource : public ::testing::Test {
 protected:
  SourcePtr open() const {
    return open_source(data_layer(dir.path(), DataParameter::FOLDER), TRAIN, "");
  }
  std::string error() const {
    return error_of<DataError>([&] { open(); });
  }
  ScratchDirectory dir;
};

TEST_F(FolderSource, LabelsCountTheSortedClasses) {
  write_files(dir.path(), {{"b/2.jpeg", "B2"},
                           {"b/1.JPG", "B1"},
                           {"b/deep/er/0.png", "B0"},
                           {"a/x y.webp", "A"},
                           {"a-c/z.tif", "AC"},
                           {"B/q.bmp", "upper case comes first"}});
  const SourcePtr source = open();
  EXPECT_EQ(source->class_names(), (Strings{"B", "a", "a-c", "b"}));
  EXPECT_EQ(contents(*source),
            (Strings{"B/q.bmp 0 upper case comes first", "a/x y.webp 1 A", "a-c/z.tif 2 AC",
                     "b/1.JPG 3 B1", "b/2.jpeg 3 B2", "b/deep/er/0.png 3 B0"}));
  EXPECT_EQ(contents(*open_source(dir.path(), TEST)), contents(*source));
  EXPECT_EQ(contents(*open_source(dir.path() + "/", TEST)), contents(*source));
}

TEST_F(FolderSource, OtherFilesAreNoImages) {
  write_files(dir.path(), {{"a/1.jpg", "1"},
                           {"a/._1.jpg", "left by a Mac"},
                           {"a/.hidden/2.jpg", "2"},
                           {"a/notes.txt", "x"},
                           {"a/jpg", "no extension"},
                           {".git/3.jpg", "3"},
                           {"stray.jpg", "in no class"}});
  EXPECT_EQ(contents(*open()), (Strings{"a/1.jpg 0 1"}));
}

TEST_F(FolderSource, LinksAreFollowed) {
  write_files(dir.path(), {{"set/a/1.jpg", "1"}, {"elsewhere/2.jpg", "2"}});
  fs::create_directory_symlink(dir / "elsewhere", dir / "set/b");
  fs::create_symlink(dir / "nowhere", dir / "set/dangling");
  EXPECT_EQ(contents(*open_source(dir / "set", TRAIN)), (Strings{"a/1.jpg 0 1", "b/2.jpg 1 2"}));
}

TEST_F(FolderSource, NamesWhatIsMissing) {
  EXPECT_ONE_LINE(error(), dir.path(), "no folders of images");
  EXPECT_ONE_LINE(error_of<DataError>([&] { open_source(dir.path(), TRAIN); }), "neither");
  write_files(dir.path(), {{"a/1.jpg", "1"}, {"b/readme.txt", "x"}});
  EXPECT_ONE_LINE(error(), dir / "b", "no images");
  EXPECT_ONE_LINE(error_of<DataError>([&] { open_source(dir / "none", TRAIN); }), "none",
                  "no such file");
}

TEST_F(FolderSource, NamesAnImageThatCannotBeRead) {
  write_files(dir.path(), {{"a/1.jpg", ""}, {"a/2.jpg", "2"}});
  const SourcePtr source = open();
  EXPECT_ONE_LINE(error_of<DataError>([&] { source->read(0); }), "record a/1.jpg: empty file");
  fs::remove(dir / "a/2.jpg");
  EXPECT_ONE_LINE(error_of<DataError>([&] { source->read(1); }),
                  "record a/2.jpg: No such file or directory");
}

class ListSource : public ::testing::Test {
 protected:
  ListSource() {
    write_files(dir.path(), {{"images/1.jpg", "1"}, {"images/a b.jpg", "2"}, {"lists/3.jpg", "3"}});
  }
  std::string write(const std::string& text) const {
    write_files(dir.path(), {{"lists/train.txt", text}});
    return dir / "lists/train.txt";
  }
  ScratchDirectory dir;
};

TEST_F(ListSource, PathsMayHoldBlanksAndBeginAtTheRoot) {
  LayerParameter layer = data_layer(
      write("1.jpg 7\r\n\r\na b.jpg\t 0\n" + (dir / "lists/3.jpg") + " 1"), DataParameter::LIST);
  layer.mutable_data_param()->set_root(dir / "images");
  const SourcePtr source = open_source(layer, TRAIN, "");
  EXPECT_EQ(contents(*source),
            (Strings{"1.jpg 7 1", "a b.jpg 0 2", (dir / "lists/3.jpg") + " 1 3"}));
  EXPECT_TRUE(source->class_names().empty());
}

TEST_F(ListSource, PathsBeginAtTheListsFolderOtherwise) {
  EXPECT_EQ(contents(*open_source(write("3.jpg 2\n../images/1.jpg 0\n"), TEST)),
            (Strings{"3.jpg 2 3", "../images/1.jpg 0 1"}));
}

TEST_F(ListSource, ARelativeRootIsSoughtBesideThePrototxt) {
  LayerParameter layer = data_layer("lists/train.txt", DataParameter::LIST);
  write("1.jpg 0");
  layer.mutable_data_param()->set_root("images");
  EXPECT_EQ(contents(*open_source(layer, TRAIN, dir.path())), (Strings{"1.jpg 0 1"}));
}

TEST_F(ListSource, NamesTheLineThatIsNone) {
  const auto error = [&](const std::string& text) {
    return error_of<DataError>([&] { open_source(write(text), TRAIN); });
  };
  for (const std::string line :
       {"1.jpg", "1.jpg x", "1.jpg -1", "1.jpg 1.5", "1.jpg 99999999999", "7", " 7"}) {
    EXPECT_ONE_LINE(error("3.jpg 0\n" + line + "\n"), "train.txt:2: ", "a name and a label");
  }
  EXPECT_ONE_LINE(error("\n\n"), "train.txt", "empty");
  EXPECT_ONE_LINE(error(std::string("\0\1\2", 3)), "train.txt", "neither");
}

TEST_F(ListSource, FieldsOfAnotherBackendAreRefused) {
  LayerParameter layer = data_layer(write("3.jpg 0"), DataParameter::LIST);
  layer.mutable_data_param()->set_label_file("x");
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { open_source(layer, TRAIN, ""); }), "'data'",
                  "label_file", "TAR", "LIST");
}

}  // namespace
}  // namespace resnet::testing
