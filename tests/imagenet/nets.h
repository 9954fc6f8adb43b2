// Nets as `resnet define --family=imagenet` writes them, at sizes that tests can afford.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "imagenet_nets.h"
#include "net/small_nets.h"
#include "resnet/eval/weights.h"
#include "resnet/io/prototxt.h"

namespace resnet::testing {

inline cli::ImageNetNet net_of(int depth, cli::Shortcut shortcut) {
  cli::ImageNetNet net = cli::imagenet_net(depth);
  net.shortcut = shortcut;
  return net;
}

// Ready for training on square images; the net's batch, but no data layer is opened.
inline std::unique_ptr<Net> train_net(const cli::ImageNetNet& net, int64_t side,
                                      NetOptions options = {}) {
  const std::map<std::string, Shape> shapes{{"data", {net.batch, 3, side, side}},
                                            {"label", {net.batch}}};
  auto result = std::make_unique<Net>(parse_net_prototxt(cli::train_val_text(net)),
                                      std::shared_ptr<Backend>(make_backend("onednn")),
                                      std::move(options), shapes, shapes);
  result->initialize(7);
  return result;
}

// Random weights of a net as table 1 has it, with the BatchNorm statistics of a random batch, so that
// activations have the size that they have in a trained net.
inline WeightSet make_random_weights(int depth) {
  cli::ImageNetNet net = cli::imagenet_net(depth);
  net.batch = 4;
  const std::unique_ptr<Net> trained = train_net(net, 64);
  Session& session = trained->session(TRAIN);
  fill_inputs(*trained, session, 3, net.classes);
  trained->forward_backward(session);
  WeightSet set;
  for (size_t p = 0; p < trained->parameters().size(); ++p) {
    const Parameter& parameter = trained->parameters()[p];
    HostArray values = trained->read_parameter(static_cast<int>(p));
    set.blobs.push_back(
        {parameter.layer, parameter.blob, values.shape, false, std::move(values.data)});
  }
  return set;
}

// The same, made once.
inline const WeightSet& random_weights(int depth) {
  static std::map<int, WeightSet> made;
  const auto [entry, fresh] = made.try_emplace(depth);
  if (fresh) entry->second = make_random_weights(depth);
  return entry->second;
}

}  // namespace resnet::testing
