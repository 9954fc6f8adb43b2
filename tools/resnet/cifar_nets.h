// The nets of He et al. 2015, section 4.2: 6n+2 weighted layers for images of 32x32 pixels, residual
// or plain, with the training recipe of that section.
#pragma once

#include <string>

#include "residual_blocks.h"

namespace resnet::cli {

struct CifarNet {
  int depth = 20;  // 6n + 2, at least 8
  Shortcut shortcut = Shortcut::a;
  int classes = 10;
  bool lmdb = false;  // the data set is LMDB: folders train.lmdb and test.lmdb in `source`
  std::string source = "data/cifar10/cifar-10-batches-bin";  // else CIFAR-10's binary files
  std::string mean_file;  // default: mean.binaryproto in `source`
};

// Throws ConfigError unless the depth is 6n + 2.
void check(const CifarNet& net);

// "resnet20", "resnet20b", "plain20": the name of the net's folder and snapshots.
std::string file_name(const CifarNet& net);
// "ResNet-20", "ResNet-20-B", "Plain-20"
std::string title(const CifarNet& net);

// The texts of train_val.prototxt, deploy.prototxt and solver.prototxt.
std::string train_val_text(const CifarNet& net);
std::string deploy_text(const CifarNet& net);
std::string solver_text(const CifarNet& net);

}  // namespace resnet::cli
