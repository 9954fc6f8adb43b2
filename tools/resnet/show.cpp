// `resnet show`: a picture of what a net is fed.
#include <filesystem>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>

#include "cli.h"
#include "flags.h"
#include "net_input.h"
#include "resnet/data/sheet.h"
#include "resnet/io/files.h"

DEFINE_int32(count, 60, "N: images");
DEFINE_int32(augment, 0, "K: show each image as it is stored and K times as training sees it");

namespace resnet::cli {
namespace {

constexpr int kAugmented = 8;  // records with --augment, without --count

// One PNG an image, its own size: 000_circle.png, ..
void write_images(const std::vector<SheetImage>& images, const std::filesystem::path& folder) {
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
    std::string name = image.caption.empty() ? "" : "_" + image.caption;
    for (char& c : name) c = c == '/' || c == ' ' ? '_' : c;
    char number[24];
    std::snprintf(number, sizeof number, "%03zu", i);
    const std::string path = (folder / (number + name + ".png")).string();
    if (!cv::imwrite(path, picture)) throw DataError(path + ": cannot be written");
  }
}

// What is drawn, and what is written above it.
struct Sheet {
  std::vector<SheetImage> images;
  std::string title, explanation;
  int columns = 0;
};

// The first records as they are stored.
Sheet stored_sheet(Phase phase) {
  const SourcePtr source = open_source(FLAGS_source, phase);
  std::optional<uint64_t> seed;
  if (phase == TRAIN) seed = FLAGS_seed;
  Sheet sheet{stored_images(*source, {}, FLAGS_count, seed), "records of " + source->name(), "", 0};
  sheet.explanation = std::to_string(sheet.images.size()) + " of " +
                      std::to_string(source->size()) + " records, as they are stored";
  return sheet;
}

// What the net is fed.
Sheet net_sheet(Phase phase) {
  LoaderOptions options;
  options.phase = phase;
  options.batch = FLAGS_count;
  options.seed = FLAGS_seed;
  const NetFile file = read_net_file(phase);
  const std::unique_ptr<Loader> loader = open_net_loader(file, options);
  const std::string of =
      " of " + std::to_string(loader->size()) + " records, " + loader->record_shape().str() + "; ";
  Sheet sheet;
  sheet.title = file.net.name() + ", " + Phase_Name(phase) + ": what the net is fed";
  if (FLAGS_augment > 0) {
    const int64_t records = given("count") ? FLAGS_count : kAugmented;
    sheet.images = augmented_images(*loader, records, FLAGS_augment);
    sheet.columns = FLAGS_augment + 1;
    sheet.explanation = std::to_string(sheet.images.size() / static_cast<size_t>(sheet.columns)) +
                        of + "as stored, then scaled size and place of the window";
    return sheet;
  }
  sheet.images = sheet_images(*loader, FLAGS_count);
  sheet.explanation = std::to_string(sheet.images.size()) + of +
                      "after scaling, crop, padding and mirroring; mean and scale are undone";
  return sheet;
}

ExitCode run(const Operands&) {
  const Phase phase = FLAGS_augment > 0 && !given("phase") ? TRAIN : parse_phase();
  if (FLAGS_count < 1) throw ConfigError("--count takes a number from 1");
  if (FLAGS_augment < 0) throw ConfigError("--augment takes a number from 1");
  const bool has_net = given("model") || given("solver");
  if (!has_net && !given("source")) throw ConfigError("--source or --model is needed");
  if (!has_net && FLAGS_augment > 0) {
    throw ConfigError("--augment needs the net that says how, by --model or --solver");
  }
  const Sheet sheet = has_net ? net_sheet(phase) : stored_sheet(phase);
  if (FLAGS_output.ends_with('/')) {
    prepare_directory_of(FLAGS_output);
    write_images(sheet.images, FLAGS_output);
  } else {
    write_sheet(sheet.images, sheet.title, sheet.explanation, FLAGS_output, sheet.columns);
  }
  std::cout << FLAGS_output << ": " << sheet.images.size() << " images\n";
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
              {"augment"},
              {"seed", "N: seed of the order and of the augmentation"},
              {"stage"},
              {"level"}},
    .examples =
        "resnet show --source=data/shapes --output=sheet.png\n"
        "resnet show --model=train_val.prototxt --phase=TRAIN --output=sheet.png\n"
        "resnet show --model=train_val.prototxt --augment=6 --output=sheet.png",
    .run = run,
};

}  // namespace resnet::cli
