// `resnet show`: a picture of what a net is fed.
#include <filesystem>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "resnet/data/sheet.h"

DEFINE_int32(count, 60, "N: images");

namespace resnet::cli {
namespace {

// The loader of the net's own data layer, with --source in place of its source.
std::unique_ptr<Loader> net_loader(const NetFile& file, const LoaderOptions& options) {
  const LayerParameter* layer = data_layer(file, options.phase);
  if (layer == nullptr) {
    throw ConfigError("the net reads no data set in phase " + Phase_Name(options.phase));
  }
  if (!given("source")) return open_loader(*layer, options, file.base_dir);
  return std::make_unique<Loader>(
      open_source(FLAGS_source, options.phase),
      Transformer(layer->transform_param(), options.phase, file.base_dir), options);
}

// One PNG an image, its own size: 000_circle.png, ..
void write_images(const std::vector<SheetImage>& images, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (size_t i = 0; i < images.size(); ++i) {
    const SheetImage& image = images[i];
    const int height = static_cast<int>(image.shape[1]), width = static_cast<int>(image.shape[2]);
    std::vector<cv::Mat> planes;
    planes.reserve(static_cast<size_t>(image.shape[0]));
    for (int c = 0; c < image.shape[0]; ++c) {
      planes.emplace_back(height, width, CV_8U,
                          const_cast<uint8_t*>(image.pixels.data()) + c * height * width);
    }
    cv::Mat picture;
    cv::merge(planes, picture);
    std::string name = image.caption;
    for (char& c : name) c = c == '/' || c == ' ' ? '_' : c;
    char number[24];
    std::snprintf(number, sizeof number, "%03zu_", i);
    const std::string path = (folder / (number + name + ".png")).string();
    if (!cv::imwrite(path, picture)) throw DataError(path + ": cannot be written");
  }
}

ExitCode run(const Operands&) {
  LoaderOptions options;
  options.phase = parse_phase();
  options.batch = FLAGS_count;
  options.seed = FLAGS_seed;
  options.shuffle = options.phase == TRAIN;
  if (FLAGS_count < 1) throw ConfigError("--count takes a number from 1");

  std::unique_ptr<Loader> loader;
  std::string title, explanation;
  if (given("model") || given("solver")) {
    const NetFile file = read_net_file(options.phase);
    loader = net_loader(file, options);
    title = file.net.name() + ", " + Phase_Name(options.phase) + ": what the net is fed";
    explanation = "after crop, padding and mirroring; mean and scale are undone for display";
  } else if (given("source")) {
    loader = std::make_unique<Loader>(open_source(FLAGS_source, options.phase),
                                      Transformer({}, options.phase, ""), options);
    title = "records of " + loader->source().name();
    explanation = "as they are stored";
  } else {
    throw ConfigError("--source or --model is needed");
  }
  const std::vector<SheetImage> images = sheet_images(*loader, FLAGS_count);
  if (FLAGS_output.ends_with('/')) {
    write_images(images, FLAGS_output);
    std::cout << FLAGS_output << ": " << images.size() << " images\n";
    return ExitCode::ok;
  }
  write_sheet(images, title,
              std::to_string(images.size()) + " of " + std::to_string(loader->size()) +
                  " records, " + loader->record_shape().str() + "; " + explanation,
              FLAGS_output);
  std::cout << FLAGS_output << ": " << images.size() << " images\n";
  return ExitCode::ok;
}

}  // namespace

extern const Command kShow = {
    .name = "show",
    .summary = "Draw a contact sheet of a data set, or of what a net is fed",
    .operands = "",
    .computes = false,
    .flags = {{"source"},
              {"model"},
              {"solver", "FILE: the solver that names the net"},
              {"phase"},
              required(
                  "output",
                  "FILE|DIR/: the picture to write (PNG), or a folder for one picture per image"),
              {"count"},
              {"seed", "N: seed of the order and of the augmentation"},
              {"stage"},
              {"level"}},
    .examples =
        "resnet show --source=data/shapes --output=sheet.png\n"
        "resnet show --model=train_val.prototxt --phase=TRAIN --output=sheet.png",
    .run = run,
};

}  // namespace resnet::cli
