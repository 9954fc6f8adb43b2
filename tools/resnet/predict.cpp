// `resnet predict`: what images show.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "class_names.h"
#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "net_input.h"
#include "resnet/base/json.h"
#include "resnet/eval/evaluate.h"
#include "resnet/eval/predictions.h"
#include "setup.h"

DEFINE_int32(top, 5, "N: classes to print per image");

namespace resnet::cli {
namespace {

std::vector<Guess> best_guesses(std::span<const double> probabilities) {
  std::vector<Guess> guesses;
  for (const double probability : probabilities) {
    guesses.push_back({static_cast<int64_t>(guesses.size()), probability});
  }
  const auto count = std::min<size_t>(static_cast<size_t>(FLAGS_top), guesses.size());
  const auto end = guesses.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(guesses.begin(), end, guesses.end(), [](const Guess& a, const Guess& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.label < b.label;
  });
  guesses.resize(count);
  return guesses;
}

// Prints as Caffe's cpp_classification does.
void print(const std::string& image, const std::vector<Guess>& guesses, const ClassNames& names) {
  std::cout << "---------- Prediction for " << image << " ----------\n";
  for (const Guess& guess : guesses) {
    char probability[32];
    std::snprintf(probability, sizeof probability, "%.4f", guess.probability);
    std::cout << probability << " - \"" << names.of(guess.label) << "\"\n";
  }
  std::cout.flush();
}

Json to_json(const std::string& image, const std::vector<Guess>& guesses, const ClassNames& names) {
  Json classes = Json::array();
  for (const Guess& guess : guesses) {
    classes.push(Json()
                     .set("label", guess.label)
                     .set("name", names.of(guess.label))
                     .set("probability", guess.probability));
  }
  return Json().set("image", image).set("classes", classes);
}

ExitCode run(const Operands& operands) {
  if (FLAGS_top < 1) throw ConfigError("--top takes a number from 1");
  const std::vector<std::string> images = image_paths(operands);
  const NetFile file = read_net_file(TEST);
  const std::string scores = score_blob(file.net, file.graph_options(TEST));
  const bool normalised = is_softmax_top(file.net, file.graph_options(TEST), scores);

  const std::shared_ptr<Backend> backend = open_backend();
  const Preprocessing preprocessing =
      preprocessing_for(file, read_caffemodel(FLAGS_weights).preprocessing);
  const ClassNames names({preprocessing.class_name().begin(), preprocessing.class_name().end()});
  const std::unique_ptr<NetInput> input = image_input(file, images, preprocessing);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, input->shapes());
  load_weights_flag(*net);

  Json predictions = Json::array();
  run_batches(*net, *input, {scores}, [&](Session& session, int64_t begin, int64_t count) {
    HostArray values = net->read(session, scores);
    const auto classes = values.data.size() / static_cast<size_t>(count);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const auto scored = std::span(values.data).subspan(i * classes, classes);
      const std::vector<double> row =
          normalised ? std::vector<double>(scored.begin(), scored.end()) : softmax(scored);
      const std::string& image = images[static_cast<size_t>(begin) + i];
      if (FLAGS_json) {
        predictions.push(to_json(image, best_guesses(row), names));
      } else {
        print(image, best_guesses(row), names);
      }
    }
  });
  if (FLAGS_json) {
    std::cout << Json()
                     .set("images", images.size())
                     .set("predictions", predictions)
                     .set("device", backend->description())
                     .str()
              << '\n';
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kPredict = {
    .name = "predict",
    .summary = "Name what images show, with probabilities",
    .operands = "IMAGE...",
    .computes = true,
    .flags = {required("model"),
              required("weights"),
              {"list"},
              {"labels"},
              {"top"},
              {"mean"},
              {"scale"},
              {"resize"},
              {"batch", "N: images at a time (default 16)"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet predict --model=deploy.prototxt --weights=net.caffemodel cat.jpg dog.png\n"
        "resnet predict --model=deploy.prototxt --weights=net.caffemodel --list=images.txt --json",
    .run = run,
};

}  // namespace resnet::cli
