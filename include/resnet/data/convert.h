// Conversion of image files to LMDB folders: checked, in parallel, resumable.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

struct ConvertOptions {
  // What is stored: the original file, or, with `raw`, its pixels as B,G,R planes. With
  // `shorter_side` images are scaled first, and stored as JPEG files of `quality` unless raw.
  bool raw = false;
  int64_t shorter_side = 0;       // pixels; 0: as it is
  int quality = 95;               // 1 to 100
  bool exif_orientation = false;  // turn scaled and raw images; original files keep their mark
  bool shuffle = false;           // in a random order that `seed` decides, else in the source's
  uint64_t seed = 1;
  int64_t batch = 256;  // images prepared at a time and written in one transaction
  // Beside these options and the keys and classes of the source, what makes two conversions the
  // same: source and options in words, and a checksum of the files that decide about labels.
  std::string description;
  uint64_t label_checksum = 0;
};

struct ConvertHooks {
  std::function<void(int64_t done, int64_t total)> progress;
  std::function<bool()> stop;  // asked after each batch: whether to stop there
};

struct ConvertReport {
  int64_t images = 0;           // of the source
  int64_t done = 0;             // of them, fewer than all when it was stopped
  int64_t records = 0;          // written
  int64_t bad = 0;              // left out, named in bad_images.txt
  int64_t odd = 0;              // written, though of another kind than their names say
  std::vector<int64_t> labels;  // records of each label
  // FNV-1a (64 bits) over the FNV-1a of each record in order: key without number, label, shape,
  // bytes. Independent of threads, batches and interruptions.
  uint64_t digest = 0;
};

// Writes the images of a source into the new LMDB folder `output`, which appears when it is
// complete and holds class_names.txt, bad_images.txt ("KEY: REASON" lines, if there are any) and
// conversion.txt as well. Images are decoded in full by the compute team; those that cannot be are
// left out. Until then all lies in `output`.tmp; whenever the process ends, the same call goes on
// from there and leads to the same files. If `output` is complete already, reports that.
// Throws ConfigError when `output` or `output`.tmp belongs to another conversion or another
// process, DataError when the disk has too little room, or more than half of the images are bad.
ConvertReport convert_images(const DataSource& source, const std::string& output,
                             const ConvertOptions& options, const ConvertHooks& hooks = {});

// Throws DataError, naming both figures, if a disk with `free` bytes has no room for `needed`.
void require_room(const std::string& path, int64_t needed, int64_t free);

}  // namespace resnet
