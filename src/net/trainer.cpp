#include "resnet/net/trainer.h"

#include <cmath>
#include <cstring>
#include <deque>

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"

namespace resnet {
namespace {

TensorDesc plain(const Shape& shape, DType dtype) {
  return {.shape = shape, .dtype = dtype, .layout = Layout::nchw()};
}

constexpr int kHeld =
    2;  // chunks at most that are not taken: one at work, one that is being enqueued

}  // namespace

struct Trainer::State {
  // A chunk that was ended.
  struct Ended {
    int64_t first_row = 0, first = 0, iterations = 0;
    int slot = 0;
    std::unique_ptr<Mark> begun{}, done{};
  };

  State(Net& net, const Options& options)
      : net(net),
        s(*net.impl_),
        options(options),
        session(&net.session(TRAIN)),
        position(options.position) {
    const auto [first_shard, last_shard] = s.shards_here(*session);
    rows_per_iteration = static_cast<int64_t>(last_shard - first_shard) * options.iter_size;
    rows = kHeld * chunk() * rows_per_iteration;
    columns = session->program.metrics_count;
    const int64_t schedule_rows = kHeld * chunk();
    schedule_desc = plain({schedule_rows, 4}, DType::f64);
    ring_desc = plain({rows, columns}, s.options.dtype);
    schedule = s.backend->allocate(schedule_desc.bytes());
    ring = s.backend->allocate(ring_desc.bytes());
    for (int i = 0; i < kHeld; ++i) {
      schedule_host[i] = s.backend->allocate_staging(chunk() * 4 * size_of(DType::f64));
      ring_host[i] = s.backend->allocate_staging(ring_desc.bytes());
      state_host[i] = s.backend->allocate_staging(train_state::kSize * size_of(DType::f64));
    }
    double initial[train_state::kSize] = {};
    initial[train_state::kSeed] = static_cast<double>(options.seed);
    initial[train_state::kPosition] = static_cast<double>(options.position);
    initial[train_state::kLossScale] =
        options.loss_scale > 0 ? options.loss_scale : s.first_loss_scale();
    initial[train_state::kGoodSteps] = options.loss_scale_steps;
    s.put(s.state_tensor(), initial);
  }

  int64_t chunk() const { return s.on_device() ? std::max<int64_t>(options.longest_chunk, 1) : 1; }

  // The device's own batches.
  struct Drawing {
    HeldData data;
    std::shared_ptr<const Kernel> kernel;
    Buffer pixels, labels, order, mean, label;  // label: where the net has no such input
    Buffer order_host[2];
    std::unique_ptr<Mark> order_copied[2];
    int64_t epochs[2] = {-1, -1};  // whose orders are there
    std::vector<Tensor> in;
    OpDesc desc;
  };

  // The net's input of that name, on the device, or an empty tensor.
  Tensor input_memory(const std::string& name) const {
    const Graph& graph = session->program.graph;
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      const Value& value = graph.value(graph.inputs[i].value);
      if (value.name == name) return session->inputs[i].memory.view(value.desc);
    }
    return {};
  }

  void enqueue_drawing() {
    Tensor label = input_memory(drawing->data.label);
    if (label.data == nullptr) label = drawing->label.view(drawing->desc.out[1]);
    const Tensor out[] = {input_memory(drawing->data.data), label};
    drawing->kernel->run({.in = drawing->in, .out = out});
  }

  // Brings the order of an epoch to the device, behind what is enqueued.
  void bring_order(int64_t epoch) {
    const auto row = static_cast<size_t>(epoch % 2);
    if (drawing->epochs[row] == epoch) return;
    if (drawing->order_copied[row]) drawing->order_copied[row]->wait();
    const std::vector<int32_t> order = drawing->data.order(epoch);
    const TensorDesc desc = plain({static_cast<int64_t>(order.size())}, DType::i32);
    std::memcpy(drawing->order_host[row].data(), order.data(), order.size() * sizeof(int32_t));
    s.backend->copy(drawing->order.view(desc, epoch % 2 * desc.bytes()),
                    drawing->order_host[row].view(desc));
    drawing->order_copied[row] = s.backend->mark();
    drawing->epochs[row] = epoch;
  }

  // What one batch enqueues: `add` to the gradients that are there, and, with `last`, the update.
  void enqueue_batch(bool add, bool last) {
    // The device counts images by itself, unless it sees only some of a batch's shards.
    const bool partly = s.exchange != nullptr;
    const Graph& graph = session->program.graph;
    const int64_t images = graph.value(graph.inputs.at(0).value).desc.shape[0];
    const RecordBatch record{.images = partly ? 0 : images, .rows = rows};
    drawing ? enqueue_drawing() : s.convert_inputs(*session);
    s.enqueue(
        *session, true, add,
        [&](int shard) {
          if (partly) s.set_clock(*session, shard);
        },
        [&](int) {
          const Tensor metrics = s.metrics_tensor(*session);
          const Tensor out[] = {s.state_tensor(), ring.view(ring_desc)};
          s.run_kernel({.op = record,
                        .in = {metrics.desc},
                        .out = {out[0].desc, out[1].desc},
                        .accumulate = {}},
                       std::span(&metrics, 1), out);
        });
    if (last) enqueue_update();
  }

  void enqueue_update() {
    const PrepareUpdate prepare{.iter_size = options.iter_size,
                                .has_norm = options.clips || s.loss_scaling(),
                                .loss_scaling = s.loss_scaling()};
    std::vector<Tensor> in{schedule.view(schedule_desc)};
    if (prepare.has_norm) in.push_back(s.enqueue_norm());
    const Tensor out[] = {s.state_tensor(), s.hyper_tensor()};
    OpDesc desc{.op = prepare, .in = {}, .out = {out[0].desc, out[1].desc}, .accumulate = {}};
    for (const Tensor& t : in) desc.in.push_back(t.desc);
    s.run_kernel(desc, in, out);
    s.enqueue_sgd(options.nesterov, options.l1);
  }

  // Enqueues a batch: as it comes at first, which also allocates what it needs; then recorded.
  void run_batch(bool add, bool last) {
    const int kind = (add ? 1 : 0) | (last ? 2 : 0);
    const bool repeatable = options.record && s.exchange == nullptr && !s.timing &&
                            session->program.options.shards == 1;
    if (!repeatable || session->batches_run[kind]++ == 0) {
      enqueue_batch(add, last);
      return;
    }
    auto& recording = session->recordings[kind];
    const int64_t version = s.weights_version;
    const int64_t after = version + (session->statistics.empty() ? 0 : 1) + (last ? 1 : 0);
    if (recording == nullptr) {
      s.mark_derived(*session, -1);  // a repeated batch makes all of them again
      recording = s.backend->record([&] { enqueue_batch(add, last); });
      if (recording == nullptr) {  // nothing was enqueued
        options.record = false;
        enqueue_batch(add, last);
        return;
      }
    }
    recording->run();
    s.mark_derived(*session, version);
    s.weights_version = after;
  }

  Net& net;
  Net::Impl& s;
  Options options;
  Session* session;
  int64_t rows_per_iteration = 0, rows = 0, columns = 0;
  TensorDesc schedule_desc, ring_desc;
  Buffer schedule, ring;                                             // on the device
  Buffer schedule_host[kHeld], ring_host[kHeld], state_host[kHeld];  // by slot
  std::deque<Ended> ended;
  std::unique_ptr<Drawing> drawing;
  Ended current;
  int64_t planned = 0;     // iterations of the chunk that was begun
  int64_t iterations = 0;  // of all chunks
  int64_t next_row = 0;
  int64_t position;  // of the next image, where the device draws them
  int next_slot = 0;
};

Trainer::Trainer(Net& net, const Options& options)
    : state_(std::make_unique<State>(net, options)) {}

Trainer::~Trainer() {
  try {
    state_->s.backend->synchronize();
  } catch (const Error&) {  // whoever asked for results has been told
  }
  for (const auto& session :
       state_->s.sessions) {  // what was recorded refers to this trainer's memory
    session->recordings.clear();
    session->batches_run.clear();
  }
}

bool Trainer::hold(HeldData data) {
  State& t = *state_;
  const int64_t records = data.images[0];
  const int64_t images = data.rule.batch * t.options.iter_size;
  const Tensor input = t.input_memory(data.data);
  if (t.s.exchange != nullptr || t.session->program.options.shards != 1 ||
      t.chunk() * images > records || input.data == nullptr) {
    return false;
  }
  data.rule.type = input.desc.dtype;
  auto drawing = std::make_unique<State::Drawing>();
  const TensorDesc descs[] = {plain(data.images, DType::u8), plain({records}, DType::f32),
                              plain({2, records}, DType::i32), plain(data.mean_shape, DType::f32),
                              t.s.state_tensor().desc};
  drawing->desc = {.op = data.rule,
                   .in = {std::begin(descs), std::end(descs)},
                   .out = {input.desc, plain({data.rule.batch}, DType::f32)},
                   .accumulate = {}};
  if (!t.s.backend->supports(drawing->desc).ok) return false;
  drawing->kernel = t.s.backend->compile(drawing->desc);
  const auto bring = [&](Buffer& memory, const TensorDesc& desc, const void* values) {
    memory = t.s.backend->allocate(desc.bytes());
    if (values != nullptr) t.s.put(memory.view(desc), values);
    drawing->in.push_back(memory.view(desc));
  };
  t.s.bind(*t.session);
  int64_t bytes = 0;
  for (const TensorDesc& desc : descs) bytes += desc.bytes();
  if (!t.s.leaves_room(bytes)) return false;
  try {
    bring(drawing->pixels, descs[0], data.pixels.data());
    bring(drawing->labels, descs[1], data.labels.data());
    bring(drawing->order, descs[2], nullptr);
    bring(drawing->mean, descs[3], data.mean.data());
    drawing->label = t.s.backend->allocate(drawing->desc.out[1].bytes());
    for (Buffer& host : drawing->order_host) {
      host = t.s.backend->allocate_staging(records * size_of(DType::i32));
    }
  } catch (const OutOfMemory&) {
    return false;
  }
  drawing->in.push_back(t.s.state_tensor());
  data.pixels = {};
  drawing->data = std::move(data);
  t.drawing = std::move(drawing);
  return true;
}

int64_t Trainer::chunk() const { return state_->chunk(); }
int Trainer::waiting() const { return static_cast<int>(state_->ended.size()); }

void Trainer::begin(std::span<const Update> updates) {
  State& t = *state_;
  if (t.planned != 0 || waiting() >= kHeld || updates.empty() ||
      static_cast<int64_t>(updates.size()) > t.chunk()) {
    throw InternalError("a chunk of " + std::to_string(updates.size()) +
                        " iterations begins with " + std::to_string(waiting()) + " waiting");
  }
  t.session = &t.net.session(TRAIN);
  t.s.bind(*t.session);
  t.planned = static_cast<int64_t>(updates.size());
  t.current = {.first_row = t.next_row, .first = t.iterations, .slot = t.next_slot};
  t.current.begun = t.s.backend->mark();
  t.next_slot = (t.next_slot + 1) % kHeld;

  if (t.drawing) {
    const int64_t records = t.drawing->data.images[0];
    const int64_t images = t.planned * t.options.iter_size * t.drawing->data.rule.batch;
    t.bring_order(t.position / records);
    t.bring_order((t.position + images - 1) / records);
  }

  // The table's rows go round; a chunk may wrap.
  auto* host = reinterpret_cast<double*>(t.schedule_host[t.current.slot].data());
  const int64_t table_rows = t.schedule_desc.shape[0];
  for (size_t i = 0; i < updates.size(); ++i) {
    const Update& u = updates[i];
    const double row[] = {u.rate, u.weight_decay, u.momentum, u.clip_gradients};
    std::copy_n(row, 4, host + 4 * i);
  }
  int64_t done = 0;
  while (done < t.planned) {
    const int64_t at = (t.iterations + done) % table_rows;
    const int64_t count = std::min(t.planned - done, table_rows - at);
    const TensorDesc part = plain({count, 4}, DType::f64);
    const int64_t row_bytes = 4 * size_of(DType::f64);
    t.s.backend->copy(t.schedule.view(part, at * row_bytes),
                      t.schedule_host[t.current.slot].view(part, done * row_bytes));
    done += count;
  }
}

void Trainer::iterate(const std::function<void()>& fill) {
  State& t = *state_;
  if (t.current.iterations >= t.planned) throw InternalError("more iterations than planned");
  for (int i = 0; i < t.options.iter_size; ++i) {
    if (!t.drawing) fill();
    t.s.explaining(t.session->request, nullptr, [&] {
      if (!t.drawing) t.s.upload_inputs(*t.session);
      t.run_batch(i > 0, i + 1 == t.options.iter_size);
    });
    if (t.drawing) t.position += t.drawing->data.rule.batch;
  }
  ++t.current.iterations;
  ++t.iterations;
  t.next_row += t.rows_per_iteration;
}

void Trainer::end() {
  State& t = *state_;
  const int slot = t.current.slot;
  t.s.backend->copy(t.ring_host[slot].view(t.ring_desc), t.ring.view(t.ring_desc));
  const Tensor state = t.s.state_tensor();
  t.s.backend->copy(t.state_host[slot].view(state.desc), state);
  t.current.done = t.s.backend->mark();
  // The schedule's later rows, of iterations that did not come, are written again by the next chunk.
  t.ended.push_back(std::move(t.current));
  t.current = {};
  t.planned = 0;
}

std::optional<Trainer::Chunk> Trainer::take(bool wait) {
  State& t = *state_;
  if (t.ended.empty() || (!wait && !t.ended.front().done->reached())) return std::nullopt;
  State::Ended ended = std::move(t.ended.front());
  t.ended.pop_front();
  ended.done->wait();

  Chunk chunk{.first = ended.first, .iterations = ended.iterations, .batches = {}};
  chunk.seconds = ended.done->seconds_since(*ended.begun);
  const std::byte* data = t.ring_host[ended.slot].data();
  const int64_t shards = t.rows_per_iteration / t.options.iter_size;
  const auto value_at = [&](int64_t i) {
    return t.ring_desc.dtype == DType::f64
               ? reinterpret_cast<const double*>(data)[i]
               : static_cast<double>(reinterpret_cast<const float*>(data)[i]);
  };
  for (int64_t batch = 0; batch < ended.iterations * t.options.iter_size; ++batch) {
    std::vector<double> values;
    for (int64_t shard = 0; shard < shards; ++shard) {
      const int64_t row = (ended.first_row + batch * shards + shard) % t.rows;
      for (int64_t i = 0; i < t.columns; ++i) values.push_back(value_at(row * t.columns + i));
    }
    chunk.batches.push_back(t.s.collect_metrics(*t.session, values, static_cast<int>(shards)));
  }
  const auto* state = reinterpret_cast<const double*>(t.state_host[ended.slot].data());
  chunk.loss_scale = state[train_state::kLossScale];
  chunk.loss_scale_steps = state[train_state::kGoodSteps];
  chunk.skipped = std::llround(state[train_state::kSkipped]);
  return chunk;
}

}  // namespace resnet
