// A short training on an LMDB with a net that has an IdentityShortcut: what is exported to Caffe.
#pragma once

#include <string>

#include "resnet/data/writer.h"
#include "train/train_run.h"

namespace resnet::testing {

// 24 records of 3x8x8 in ten classes.
inline void write_small_lmdb(const std::string& path) {
  const auto writer = open_lmdb_writer(path, {});
  for (int64_t i = 0; i < 24; ++i) writer->add(numbered_record(i, i % 10, {3, 8, 8}));
  writer->finish();
}

inline std::string lmdb_data(const std::string& phase, const std::string& source) {
  return "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: " + phase +
         " } transform_param { mean_value: 128 scale: 0.01 " +
         (phase == "TRAIN" ? "mirror: true " : "") + "} data_param { source: '" + source +
         "' batch_size: 8 } }\n";
}

inline std::string shortcut_net(const std::string& source) {
  return "name: 'shortcut'\n" + lmdb_data("TRAIN", source) + lmdb_data("TEST", source) +
         conv("conv1", "data", 4, 3) + norm("conv1") + relu("conv1") +
         conv("a1", "conv1", 8, 3, 2) + norm("a1") + relu("a1") + conv("a2", "a1", 8, 3) +
         norm("a2") +
         layer("a0", "IdentityShortcut", "conv1", "a0",
               "identity_shortcut_param { stride: 2 num_output: 8 }") +
         layer("a", "Eltwise", "a0,a2", "a") + relu("a") +
         layer("pool", "Pooling", "a", "pool", "pooling_param { pool: AVE global_pooling: true }") +
         layer("fc", "InnerProduct", "pool", "fc",
               "inner_product_param { num_output: 10 weight_filler { type: 'msra' } }") +
         layer("loss", "SoftmaxWithLoss", "fc,label", "loss") +
         layer("accuracy", "Accuracy", "fc,label", "accuracy");
}

constexpr const char* kShortcutSolver =
    "base_lr: 0.05 lr_policy: 'multistep' gamma: 0.1 stepvalue: 3 stepvalue: 6 momentum: 0.9 "
    "weight_decay: 0.001 max_iter: 8 random_seed: 5 test_interval: 4 test_iter: 3 snapshot: 4 "
    "window: 4 keep_snapshots: 9 ";

}  // namespace resnet::testing
