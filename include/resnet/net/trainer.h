// Training iterations of a Net without waiting for each: the device is given whole chunks of them, and
// what they measured comes back chunk by chunk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "resnet/net/held_data.h"
#include "resnet/net/net.h"

namespace resnet {

// An iteration is iter_size batches, whose gradients are added, and an update. A batch whose metrics are
// not finite stops all later updates. Where the device can repeat recorded work, an iteration is recorded
// once and repeated from then on. One at a time for a Net; the Net must outlive it.
class Trainer {
 public:
  struct Options {
    int iter_size = 1;
    bool nesterov = false, l1 = false, clips = false;  // of every Update
    bool record = true;                                // repeat recorded work where possible
    uint64_t seed = 0;                                 // for ops that draw random numbers
    int64_t position = 0;                              // in the stream: the next image
    // FLOAT16: that of a run that goes on; 0: the first one. And the updates since it changed.
    double loss_scale = 0, loss_scale_steps = 0;
    int64_t longest_chunk = 1;  // iterations
  };
  // What a chunk has measured.
  struct Chunk {
    int64_t first = 0;  // number of its first iteration, from 0
    int64_t iterations = 0;
    std::vector<std::vector<Metric>> batches;  // of all its iterations, in order
    double seconds = 0;                        // since the chunk before, or since begin()
    double loss_scale_steps = 0;
    double loss_scale = 1;  // FLOAT16
    int64_t skipped = 0;    // updates so far that overflowed
  };

  // Throws ConfigError when the net has no loss.
  Trainer(Net& net, const Options& options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Lets the device draw all batches from a data set that it holds from now on. False where the backend
  // does not do that, has no memory for it beside the program, or a chunk could be longer than the set.
  // Before the first chunk.
  bool hold(HeldData data);

  // Iterations that pay to be enqueued in one chunk: longest_chunk where the device works on its own,
  // else 1.
  int64_t chunk() const;

  // Starts a chunk of at most updates.size() iterations with these settings. At most one chunk may be
  // waiting to be taken.
  void begin(std::span<const Update> updates);
  // Enqueues the next iteration; fill() is called before each batch, to fill the net's inputs, unless the
  // device draws them.
  void iterate(const std::function<void()>& fill);
  void end();

  // The oldest chunk that was not taken, when it is done; waits for it if asked to.
  std::optional<Chunk> take(bool wait);
  int waiting() const;  // chunks that were ended and not taken: at most 2

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace resnet
