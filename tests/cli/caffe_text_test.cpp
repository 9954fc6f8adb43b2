// Nets and solvers as they are written for Caffe and its forks, trained without a change.
#include <gtest/gtest.h>

#include "cli/tool.h"

namespace resnet::test {
namespace {

// In the manner of Caffe's CIFAR-10 and ImageNet examples.
constexpr char kNet[] = R"(name: "CIFAR10_as_in_Caffe"
layer {
  name: "cifar"
  type: "Data"
  top: "data"
  top: "label"
  include {
    phase: TRAIN
  }
  transform_param {
    mirror: true
    crop_size: 7
    mean_file: "mean.binaryproto"
  }
  data_param {
    source: "train_lmdb"
    batch_size: 6
    backend: LMDB
    prefetch: 10
  }
}
layer {
  name: "cifar"
  type: "Data"
  top: "data"
  top: "label"
  include {
    phase: TEST
  }
  transform_param {
    mirror: false
    crop_size: 7
    mean_file: "mean.binaryproto"
  }
  data_param {
    source: "test_lmdb"
    batch_size: 5
    backend: LMDB
  }
}
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  param {
    lr_mult: 1
    decay_mult: 1
  }
  param {
    lr_mult: 2
    decay_mult: 0
  }
  convolution_param {
    num_output: 4
    pad: 2
    kernel_size: 5
    stride: 1
    engine: CAFFE
    weight_filler {
      type: "gaussian"
      std: 0.01
    }
    bias_filler {
      type: "constant"
    }
  }
}
layer {
  name: "bn1"
  type: "BatchNorm"
  bottom: "conv1"
  top: "bn1"
  param {
    lr_mult: 0
  }
  param {
    lr_mult: 0
  }
  param {
    lr_mult: 0
  }
}
layer {
  name: "scale1"
  type: "Scale"
  bottom: "bn1"
  top: "bn1"
  scale_param {
    bias_term: true
  }
}
layer {
  name: "relu1"
  type: "ReLU"
  bottom: "bn1"
  top: "bn1"
}
layer {
  name: "pool1"
  type: "Pooling"
  bottom: "bn1"
  top: "pool1"
  pooling_param {
    pool: MAX
    kernel_size: 3
    stride: 2
  }
}
layer {
  name: "drop"
  type: "Dropout"
  bottom: "pool1"
  top: "pool1"
  dropout_param {
    dropout_ratio: 0.5
  }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "pool1"
  top: "ip1"
  inner_product_param {
    num_output: 3
    weight_filler {
      type: "xavier"
    }
  }
}
layer {
  name: "accuracy"
  type: "Accuracy"
  bottom: "ip1"
  bottom: "label"
  top: "accuracy"
  include {
    phase: TEST
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip1"
  bottom: "label"
  top: "loss"
}
)";

constexpr char kSolver[] = R"(# The train/test net protocol buffer definition
net: "cifar_train_test.prototxt"
test_iter: 2
# Carry out testing every 4 training iterations.
test_interval: 4
base_lr: 0.001
momentum: 0.9
weight_decay: 0.004
lr_policy: "multistep"
gamma: 0.1
stepvalue: 2
stepvalue: 3
display: 1
max_iter: 4
snapshot: 4
snapshot_prefix: "cifar_full"
random_seed: 3
solver_mode: CPU
)";

class CaffeText : public testing::Test {
 protected:
  CaffeText() {
    files_.run_ok({"mean", "--quiet", "--source=train_lmdb", "--output=mean.binaryproto"});
    files_.write("cifar_train_test.prototxt", kNet);
    files_.write("cifar_solver.prototxt", kSolver);
  }
  RunResult train() const {
    return files_.run({"train", "--threads=1", "--solver=cifar_solver.prototxt"});
  }

  Workspace files_;
};

TEST_F(CaffeText, TrainsUnchanged) {
  const RunResult run = train();
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(files_.has("cifar_full_iter_4.caffemodel"));
  for (const char* part :
       {"Iteration 3, lr = 1e-05", "Test net output #0: accuracy = ",
        "ConvolutionParameter.engine is accepted without effect", "Optimization Done."}) {
    EXPECT_NE(run.err.find(part), std::string::npos) << part;
  }
}

TEST_F(CaffeText, TrainsWithWhatForksWrite) {
  files_.replace("cifar_train_test.prototxt", "layer {", R"(
default_forward_type: FLOAT
default_conv_algos_override: "-1,-1,-1"
eltwise_mem_sharing: true
engine: "MKLDNN"
layer {)");
  files_.replace("cifar_train_test.prototxt", "backend: LMDB",
                 "backend: LMDB cache: true threads: 2");
  files_.replace("cifar_train_test.prototxt", "engine: CAFFE",
                 "engine: MKL2017 conv_algorithm: \"auto\"");
  files_.replace("cifar_solver.prototxt", "max_iter", "store_blobs_in_old_format: true\nmax_iter");
  const RunResult run = train();
  ASSERT_EQ(run.code, 0) << run.err;
  for (const char* field :
       {"NetParameter.default_forward_type", "NetParameter.engine", "DataParameter.cache",
        "ConvolutionParameter.engine=MKL2017", "SolverParameter.store_blobs_in_old_format"}) {
    EXPECT_NE(run.err.find(std::string(field) + ", a field of a fork of Caffe,"), std::string::npos)
        << field;
  }
  files_.replace("cifar_train_test.prototxt", "default_forward_type: FLOAT",
                 "default_forward_type: FLOAT16");
  expect_failure(train(), 2,
                 {"cifar_train_test.prototxt:3:1", "default_forward_type", "math: FLOAT16"});
}

}  // namespace
}  // namespace resnet::test
