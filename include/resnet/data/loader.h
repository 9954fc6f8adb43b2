// Batches of transformed records in an order that depends on the seed alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "resnet/data/source.h"
#include "resnet/data/transform.h"

namespace resnet {

struct LoaderOptions {
  Phase phase = TEST;
  int64_t batch = 1;     // images
  uint64_t seed = 0;     // of the order and of the augmentation
  bool shuffle = false;  // TRAIN only; else the order of the keys
  int loader_threads =
      0;                 // 0: next() prepares batches itself, with the compute team (parallel_for)
  int64_t prefetch = 4;  // batches ready at most, with loader threads
  int64_t label_limit = 0;   // classes; a label outside [0, limit) is an error; 0: not checked
  int64_t skip_bad = 0;      // TRAIN: bad records that are left out before one is an error
  bool time_stages = false;  // for stage_seconds()
};

// TRAIN: an endless stream. Position p is record perm(seed, p / N)[p % N] of the N records, perm
// being the identity without `shuffle`; every random draw is a function of (seed, p). Batches are
// always full. TEST: positions 0 to N-1 are the records in key order; the last batch is short.
// Results do not depend on the number of threads of any kind. Not copyable; one caller at a time.
class Loader {
 public:
  // Reads the first record to learn the shapes. Throws ConfigError and DataError.
  Loader(SourcePtr source, Transformer transformer, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  Shape record_shape() const;  // (C,H,W) after the transformation
  Shape batch_shape() const;   // (batch,C,H,W)
  int64_t size() const;        // records of the source
  const DataSource& source() const;
  const Transformer& transformer() const;
  const LoaderOptions& options() const;

  // Writes the next batch to `data` (batch,C,H,W) and `labels` (batch), either of which may be
  // null, advances the position and returns the number of images: `batch` in TRAIN; in TEST fewer
  // at the end of the set, then 0 until seek(0). Rows beyond the number are left alone. Throws
  // DataError on a bad record or label; the error comes at the same position for any number of
  // threads.
  int64_t next(float* data, float* labels);
  // The same with 8-bit pixels, which a device brings to the net's input (Transformer::apply): `levels`
  // (batch,C,H,W), `places` (batch,placement::kSize). Throws NotPixels, too; then the position stays.
  int64_t next(uint8_t* levels, float* places, float* labels);
  PixelRule pixel_rule() const;

  // Images taken so far: the position of the next batch's first image. In TRAIN this one number is
  // what a snapshot stores.
  int64_t position() const;
  void seek(int64_t position);

  // Indices of the bad records that were left out so far, in the order of the stream; a resumed run
  // goes on counting from those of its snapshot.
  std::vector<int64_t> bad_records() const;
  void set_bad_records(std::vector<int64_t> records);

  // The record at a position, and the keys of the images at [position, position + count).
  int64_t record_index(int64_t position) const;
  std::vector<int64_t> record_indices(int64_t position, int64_t count) const;
  std::vector<std::string> record_keys(int64_t position, int64_t count) const;

  // How an image becomes this net's input in TEST, with the source's class names; stored with the
  // weights.
  Preprocessing preprocessing() const;

  // Seconds that next() has taken in all: waiting for loader threads, or preparing batches itself.
  double wait_seconds() const;
  // Seconds of all threads by stage, of all batches so far; with time_stages.
  StageSeconds stage_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The loader of a Data or DummyData layer: source, transform_param, batch_size and shuffle come
// from the layer, the rest from `options`.
std::unique_ptr<Loader> open_loader(const LayerParameter& layer, LoaderOptions options,
                                    const std::string& base_dir);

}  // namespace resnet
