// Training straight from image files: folders, lists, tar files; and the nets of `define` that read them.
#include <gtest/gtest.h>

#include "cli/image_sets.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class ImageTraining : public testing::Test {
 protected:
  ImageTraining() { write_image_set(files_); }

  // All blobs after training with these fields of data_param. (The files differ: they name the run, which
  // depends on the source.)
  std::vector<float> weights(const std::string& source_fields, const Arguments& flags = {}) const {
    fs::remove_all(files_.path("images"));
    write_image_net(files_, source_fields);
    Arguments train = {"train", "--quiet", "--threads=1", "--solver=images_solver.prototxt"};
    train.insert(train.end(), flags.begin(), flags.end());
    files_.run_ok(train);
    std::vector<float> values;
    for (const NamedBlob& blob :
         read_caffemodel(files_.path("images/net_iter_4.caffemodel")).blobs) {
      values.insert(values.end(), blob.data.begin(), blob.data.end());
    }
    return values;
  }

  RunResult define(Arguments flags) const {
    flags.insert(flags.begin(),
                 {"define", "--family=imagenet", "--stages=1", "--classes=3", "--output=nets"});
    return files_.run(flags);
  }

  // The nets parse, and both data layers read images.
  void expect_reads() const {
    for (const std::string phase : {"TRAIN", "TEST"}) {
      const RunResult shown = files_.run_ok({"show", "--quiet", "--model=nets/train_val.prototxt",
                                             "--phase=" + phase, "--count=2", "--output=fed.png"});
      EXPECT_EQ(shown.out, "fed.png: 2 images\n") << phase;
    }
    files_.run_ok({"summary", "--quiet", "--batch=1", "--model=nets/deploy.prototxt"});
  }

  Workspace files_;
};

TEST_F(ImageTraining, EverySourceGivesTheSameWeights) {
  const std::vector<float> wanted = weights("source: \"set\" backend: FOLDER");
  ASSERT_EQ(wanted.size(), 4 * 75 + 4 + 12 + 3U);
  EXPECT_TRUE(weights("source: \"list.txt\" backend: LIST") == wanted);
  EXPECT_TRUE(weights("source: \"classes.tar\" backend: TAR") == wanted);
  EXPECT_TRUE(weights("source: \"classes.tar\" backend: TAR", {"--loader_threads=2"}) == wanted);
}

TEST_F(ImageTraining, OtherFormsSlow) {
  const std::vector<float> wanted = weights("source: \"set\" backend: FOLDER");
  EXPECT_TRUE(weights("source: \"set.tar\" backend: TAR") == wanted);

  files_.run_ok({"convert", "folder", "set", "--quiet", "--output=lmdb"});
  EXPECT_TRUE(weights("source: \"lmdb\" force_encoded_color: true") == wanted);

  // A list may lie elsewhere, and a tar file may leave the labels to a list.
  fs::create_directory(files_.path("lists"));
  std::string names, flat;
  for (int i = 0; i < 12; ++i) {
    const std::string number = std::to_string(10 + i), label = std::to_string(i / 4);
    const std::string name = "n0" + std::to_string(i / 4 + 1) + "/" + number + ".jpg";
    names += name + " " + label + "\n";
    flat += number + ".jpg " + label + "\n";
  }
  files_.write("lists/list.txt", names);
  files_.write("lists/flat.txt", flat);
  shell(files_, "mkdir flat && cp set/*/*.jpg flat && tar -cf flat.tar -C flat .");
  EXPECT_TRUE(weights("source: \"lists/list.txt\" root: \"set\" backend: LIST") == wanted);
  EXPECT_TRUE(weights("source: \"flat.tar\" label_file: \"lists/flat.txt\" backend: TAR") ==
              wanted);

  // And the labels do matter.
  files_.replace("lists/list.txt", "10.jpg 0", "10.jpg 2");
  EXPECT_FALSE(weights("source: \"lists/list.txt\" root: \"set\" backend: LIST") == wanted);
}

TEST_F(ImageTraining, WarnsWhereLabelsMeanOtherClasses) {
  write_image_net(files_, "source: \"set\" backend: FOLDER");
  const Arguments train = {"train", "--quiet", "--solver=images_solver.prototxt"};
  EXPECT_EQ(files_.run_ok(train).err.find("same class"), std::string::npos);
  shell(files_, "cp -r set val && rm -r val/n02");
  const std::string net = files_.read("images.prototxt");
  files_.write("images.prototxt", net.substr(0, net.rfind("\"set\"")) + "\"val\"" +
                                      net.substr(net.rfind("\"set\"") + 5));
  const std::string log = files_.run_ok(train).err;
  EXPECT_NE(log.find("label 1 is 'n02' in set, but 'n03' in val"), std::string::npos) << log;
}

TEST_F(ImageTraining, DefineForAFolderSlow) {
  shell(files_, "mkdir d && cp -r set d/train && cp -r set d/val");
  files_.run_ok({"mean", "--quiet", "--source=d/train", "--resize=256", "--crop=224",
                 "--output=d/mean.binaryproto"});
  EXPECT_EQ(define({"--format=folder", "--source=d"}).code, 0);
  expect_reads();
  const std::string net = files_.read("nets/train_val.prototxt");
  EXPECT_NE(net.find("mean_file: \"d/mean.binaryproto\""), std::string::npos);
  EXPECT_NE(net.find("source: \"d/train\" backend: FOLDER"), std::string::npos);

  fs::rename(files_.path("d/mean.binaryproto"), files_.path("m.binaryproto"));
  EXPECT_EQ(define({"--format=folder", "--source=d", "--mean=m.binaryproto"}).code, 0);
  expect_reads();
}

TEST_F(ImageTraining, DefineForDatabases) {
  for (const std::string part : {"train", "val"}) {
    files_.run_ok({"convert", "folder", "set", "--quiet", "--output=d/" + part + ".lmdb"});
  }
  EXPECT_EQ(define({"--format=lmdb", "--source=d", "--mean=104,117.5,123"}).code, 0);
  expect_reads();
  EXPECT_NE(files_.read("nets/train_val.prototxt")
                .find("mean_value: 104 mean_value: 117.5 mean_value: 123"),
            std::string::npos);
}

TEST_F(ImageTraining, DefineForTarFilesSlow) {
  shell(files_,
        "mkdir d flat && cp classes.tar d/ILSVRC2012_img_train.tar && cp set/*/1[01].jpg flat && "
        "tar -cf d/ILSVRC2012_img_val.tar -C flat .");
  files_.write("d/val.txt", "10.jpg 0\n11.jpg 0\n");
  EXPECT_EQ(define({"--format=tar", "--source=d", "--mean=104,117,123"}).code, 0);
  expect_reads();
  fs::remove(files_.path("d/val.txt"));
  expect_failure(files_.run({"show", "--quiet", "--model=nets/train_val.prototxt", "--phase=TEST",
                             "--output=x.png"}),
                 3, {"val.txt"});
}

TEST_F(ImageTraining, DefineRefusesSlow) {
  const auto refused = [&](const std::string& flag, const std::string& fact) {
    expect_failure(define({flag}), 2, {fact});
    EXPECT_FALSE(files_.has("nets"));
  };
  refused("--format=cifar", "lmdb, folder or tar");
  refused("--format=zip", "'zip'");
  refused("--source=", "--source takes a folder");
  for (const std::string mean : {"", "104,117", "104,117,x", "104,117,inf", "104", "1,2,3,4"}) {
    refused("--mean=" + mean, "three values B,G,R, not '" + mean + "'");
  }
}

}  // namespace
}  // namespace resnet::test
