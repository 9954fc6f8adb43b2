// The nets of He et al. 2015, table 1: ResNet-18, 34, 50, 101, 152 and others of their kind for images
// of 224x224 pixels, residual or plain, with the training recipe of section 3.4.
#pragma once

#include <string>
#include <vector>

#include "residual_blocks.h"

namespace resnet::cli {

struct ImageNetNet {
  std::vector<int> stages = {2, 2, 2, 2};  // blocks in conv2_x, conv3_x, ..
  ResidualBlock::Type block = ResidualBlock::Type::basic;
  Shortcut shortcut = Shortcut::a;
  bool stride_in_3x3 = false;  // of bottlenecks; the paper's stride is in the first 1x1
  // pool1's windows begin a pixel before the image, as torchvision's; else with it, as in the published nets.
  bool pad_pool1 = false;
  int classes = 1000;
  int batch = 256;      // images a pass
  int iter_size = 1;    // passes an update
  int group_size = 0;   // images that share BatchNorm's statistics; 0: the batch
  bool plateau = true;  // divide the learning rate when the error plateaus; else at fixed steps
  enum class Format { lmdb, folder, tar };
  Format format = Format::lmdb;
  // A folder of train.lmdb and val.lmdb; or of train and val, each with a folder for each class; or of
  // ILSVRC2012's tar files and val.txt.
  std::string source = "data/imagenet";
  std::string mean_file;                 // empty: mean.binaryproto in the source
  std::vector<std::string> mean_values;  // of B, G and R, in place of a file
};

// Table 1's net of this depth, with the paper's shortcuts: A for basic blocks, B for bottlenecks.
// Throws ConfigError naming the depths there are.
ImageNetNet imagenet_net(int depth);

// Throws ConfigError on a size that no net can have.
void check(const ImageNetNet& net);

int depth(const ImageNetNet& net);  // weighted layers on the longest path

// "resnet50", "resnet34b", "plain18", "resnet50v1.5": the name of the net's folder and snapshots.
std::string file_name(const ImageNetNet& net);
// "ResNet-50", "ResNet-34-B", "Plain-18"
std::string title(const ImageNetNet& net);

// The texts of train_val.prototxt, deploy.prototxt and solver.prototxt.
std::string train_val_text(const ImageNetNet& net);
std::string deploy_text(const ImageNetNet& net);
std::string solver_text(const ImageNetNet& net);

}  // namespace resnet::cli
