// `resnet predict`: what images show.
#include <cstdio>
#include <iostream>

#include "class_names.h"
#include "cli.h"
#include "flags.h"
#include "ilsvrc.h"
#include "image_files.h"
#include "net_file.h"
#include "net_input.h"
#include "resnet/base/json.h"
#include "resnet/eval/classification.h"
#include "resnet/eval/evaluate.h"
#include "resnet/io/files.h"
#include "setup.h"

DEFINE_int32(top, 5, "N: classes to print per image");
DEFINE_string(submission, "",
              "FILE: write five ILSVRC IDs a line, images by file name, in place of printing");
DEFINE_string(ids, "",
              "FILE: ILSVRC's IDs for --submission: lines 'WNID ID', or one ID a line by label");

namespace resnet::cli {
namespace {

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

// The file of --submission.
class Submission {
 public:
  static bool wanted() { return !FLAGS_submission.empty(); }

  void add(std::span<const double> probabilities, const ClassNames& names) {
    const auto classes = static_cast<int64_t>(probabilities.size());
    if (ids_.empty()) {
      if (classes < kGuesses) throw ConfigError("--submission takes a net of five classes or more");
      ids_ = ilsvrc_ids(FLAGS_ids, names, classes);
    }
    text_ += submission_line(best_guesses(probabilities, kGuesses), ids_);
  }
  void write() const { write_file_atomic(FLAGS_submission, {text_}); }

 private:
  static constexpr int kGuesses = 5;  // a line
  std::vector<int64_t> ids_;          // by label
  std::string text_;
};

void check_flags() {
  if (FLAGS_top < 1) throw ConfigError("--top takes a number from 1");
  if (FLAGS_submission.empty() != FLAGS_ids.empty()) {
    throw ConfigError("--submission and --ids go together: ILSVRC's IDs are in no order of labels");
  }
  if (Submission::wanted()) prepare_directory_of(FLAGS_submission);
}

ExitCode run(const Operands& operands) {
  check_flags();
  std::vector<std::string> images = image_paths(operands);
  if (Submission::wanted()) images = in_submission_order(std::move(images));
  const NetFile file = read_net_file(TEST);
  const GraphOptions graph = file.graph_options(TEST);
  const std::string scores = score_blob(file.net, graph);
  const bool normalised = is_softmax_top(file.net, graph, scores);

  const std::shared_ptr<Backend> backend = open_backend();
  const Preprocessing preprocessing =
      preprocessing_for(file, read_caffemodel(FLAGS_weights).preprocessing);
  const ClassNames names({preprocessing.class_name().begin(), preprocessing.class_name().end()});
  const std::unique_ptr<NetInput> input = image_input(file, images, preprocessing);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, input->shapes());
  load_weights_flag(*net);

  Json predictions = Json::array();
  Submission submission;
  run_batches(*net, *input, {scores}, [&](Session& session, int64_t begin, int64_t count) {
    const HostArray values = net->read(session, scores);
    const auto classes = values.data.size() / static_cast<size_t>(count);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const std::vector<double> row =
          probabilities_of(std::span(values.data).subspan(i * classes, classes), normalised);
      const std::string& image = images[static_cast<size_t>(begin) + i];
      if (Submission::wanted()) submission.add(row, names);
      if (FLAGS_json) {
        predictions.push(to_json(image, best_guesses(row, FLAGS_top), names));
      } else if (!Submission::wanted()) {
        print(image, best_guesses(row, FLAGS_top), names);
      }
    }
  });
  if (Submission::wanted()) submission.write();
  if (FLAGS_json) {
    std::cout << Json()
                     .set("images", images.size())
                     .set("predictions", predictions)
                     .set("device", backend->description())
                     .str()
              << '\n';
  } else if (Submission::wanted()) {
    std::cout << FLAGS_submission << ": " << images.size() << " images\n";
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kPredict = {
    .name = "predict",
    .summary = "Name what images show, with probabilities",
    .operands = "IMAGE|DIR...",
    .computes = true,
    .flags = {{"model", "FILE: the net (prototxt); default: the one in the weights"},
              required("weights"),
              {"list"},
              {"labels"},
              {"top"},
              {"submission"},
              {"ids"},
              {"mean"},
              {"scale"},
              {"resize"},
              {"batch", "N: images at a time (default 16)"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet predict --weights=model.caffemodel cat.jpg dog.png\n"
        "resnet predict --model=deploy.prototxt --weights=net.caffemodel cat.jpg dog.png\n"
        "resnet predict --model=deploy.prototxt --weights=net.caffemodel --list=images.txt --json\n"
        "resnet predict --model=deploy.prototxt --weights=net.caffemodel --submission=test.txt "
        "--ids=ids.txt ILSVRC2012_img_test",
    .run = run,
};

}  // namespace resnet::cli
