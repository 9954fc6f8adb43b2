#include "resnet/io/snapshot.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "io/foreign.h"
#include "io/sealed_file.h"
#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModelSuffix = ".caffemodel";
constexpr std::string_view kStateSuffix = ".solverstate";
constexpr std::string_view kTemporarySuffix = ".tmp";

// The files <prefix>_iter_<N><suffix>, highest N first.
struct Found {
  int64_t iter;
  std::string path;
};

std::vector<Found> list(const std::string& prefix, const std::string& suffix) {
  const std::string begin = base_name(prefix) + "_iter_";
  std::vector<Found> found;
  std::error_code error;
  for (fs::directory_iterator it(directory_of(prefix), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(begin) || !name.ends_with(suffix)) continue;
    if (name.size() <= begin.size() + suffix.size()) continue;
    const char* first = name.data() + begin.size();
    const char* last = name.data() + name.size() - suffix.size();
    int64_t iter = 0;
    const auto [stop, status] = std::from_chars(first, last, iter);
    if (status != std::errc() || stop != last || iter < 0) continue;
    found.push_back({iter, prefix + name.substr(base_name(prefix).size())});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.iter > b.iter; });
  return found;
}

std::string read_head(const std::string& path) {
  char head[64];
  std::ifstream in(path, std::ios::binary);
  in.read(head, sizeof head);
  return {head, static_cast<size_t>(in.gcount())};
}

uint64_t run_of(const std::string& path) { return read_sealed_header(read_head(path)).run_id; }

// Locates and checks the model that a state belongs to.
void check_model(LoadedState* loaded) {
  const SolverState& state = loaded->state;
  if (state.learned_net().empty()) {
    throw DataError(loaded->path + ": it does not name its weight file");
  }
  const std::string directory = directory_of(loaded->path);
  const std::string name = base_name(state.learned_net());
  loaded->model_path = loaded->path.find('/') == std::string::npos ? name : directory + "/" + name;
  std::string bytes;
  try {
    bytes = read_file(loaded->model_path);
  } catch (const DataError& e) {
    throw DataError(loaded->path + ": its weight file must lie beside it: " + e.what());
  }
  if (!loaded->ours) return;
  if (!read_sealed_header(bytes).present) {
    throw DataError(loaded->model_path + ": not the weight file that " + loaded->path +
                    " was written with");
  }
  if (const std::string problem = frame_problem(bytes); !problem.empty()) {
    throw DataError(loaded->model_path + ": " + problem);
  }
  if (stored_checksum(bytes) != state.model_checksum()) {
    throw DataError(loaded->model_path + ": not the weight file that " + loaded->path +
                    " was written with (another checksum): use another snapshot");
  }
}

// Is the whole pair on disk and undamaged?
bool verifies(const SnapshotPaths& pair) {
  try {
    read_solverstate(pair.state);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void remove_temporaries(const std::string& prefix, std::vector<std::string>* lines) {
  for (const std::string_view suffix : {kModelSuffix, kStateSuffix}) {
    for (const Found& f : list(prefix, std::string(suffix) + std::string(kTemporarySuffix))) {
      remove_file(f.path);
      lines->push_back("removed " + f.path + ", left by a run that was killed");
    }
  }
}

}  // namespace

SnapshotPaths snapshot_paths(const std::string& prefix, int64_t iter) {
  const std::string stem = prefix + "_iter_" + std::to_string(iter);
  return {stem + std::string(kModelSuffix), stem + std::string(kStateSuffix)};
}

SnapshotPaths write_snapshot(const std::string& prefix, const NetParameter& model,
                             SolverState* state, uint64_t run_id) {
  SnapshotPaths paths = snapshot_paths(prefix, state->iter());
  state->clear_file_header();
  state->clear_file_checksum();
  state->set_learned_net(base_name(paths.model));
  state->set_model_checksum(write_caffemodel(paths.model, model, run_id));
  write_sealed(paths.state, *state, run_id, "state");
  return paths;
}

LoadedState parse_solverstate(std::string_view bytes, const std::string& path) {
  LoadedState loaded;
  loaded.path = path;
  const auto refuse_model = [&] {
    if (!looks_like_weights(bytes)) return;
    throw DataError(path +
                    ": this is a weight file: give the .solverstate beside it, or use it with "
                    "--weights");
  };
  try {
    loaded.ours = parse_sealed(path, bytes, "solver state (.solverstate)", &loaded.state);
  } catch (const DataError&) {
    if (intact(bytes)) refuse_model();
    throw;
  }
  if (!loaded.state.has_iter() || !loaded.state.has_learned_net()) {
    refuse_model();
    throw DataError(path + ": not a solver state: it has no iteration or no weight file");
  }
  if (loaded.state.iter() < 0) {
    throw DataError(path + ": the iteration " + std::to_string(loaded.state.iter()) +
                    " is negative");
  }
  if (loaded.ours) {
    loaded.run_id = loaded.state.file_header().run_id();
  } else {
    loaded.notes.push_back(path +
                           ": written by another program: it holds iteration, momentum and "
                           "learning rate step, but no data position and no metrics");
  }
  return loaded;
}

LoadedState read_solverstate(const std::string& path) {
  LoadedState loaded = parse_solverstate(read_file(path), path);
  check_model(&loaded);
  return loaded;
}

std::optional<LoadedState> find_latest(const std::string& prefix, std::vector<std::string>* notes) {
  for (const std::string_view suffix : {kModelSuffix, kStateSuffix}) {
    for (const Found& f : list(prefix, std::string(suffix) + std::string(kTemporarySuffix))) {
      notes->push_back("ignored " + f.path + ": a snapshot that was interrupted");
    }
  }
  std::optional<LoadedState> result;
  const std::vector<Found> states = list(prefix, std::string(kStateSuffix));
  for (const Found& f : list(prefix, std::string(kModelSuffix))) {
    const bool has_state =
        std::any_of(states.begin(), states.end(), [&](const Found& s) { return s.iter == f.iter; });
    if (!has_state && (states.empty() || f.iter > states.front().iter)) {
      notes->push_back("skipped " + f.path + ": it has no .solverstate");
    }
  }
  size_t i = 0;
  for (; i < states.size() && !result; ++i) {
    try {
      result = read_solverstate(states[i].path);
    } catch (const Error& e) {
      notes->push_back("skipped " + states[i].path + ": " + e.what());
    }
  }
  if (!result) return result;
  std::error_code error;
  const auto chosen_time = fs::last_write_time(result->path, error);
  for (; i < states.size() && !error; ++i) {
    const auto time = fs::last_write_time(states[i].path, error);
    if (!error && time > chosen_time && run_of(states[i].path) != result->run_id) {
      notes->push_back("note: " + states[i].path +
                       " was written later, by another run; name it with "
                       "--snapshot to resume that one");
      break;
    }
  }
  return result;
}

std::vector<std::string> remove_old_snapshots(const std::string& prefix, int64_t newest_iter,
                                              int keep, int64_t best_iter, uint64_t run_id) {
  std::vector<std::string> lines;
  remove_temporaries(prefix, &lines);
  if (keep <= 0) return lines;
  int kept = 0;
  std::vector<SnapshotPaths> stay, go;
  for (const Found& f : list(prefix, std::string(kStateSuffix))) {
    if (f.iter > newest_iter || run_of(f.path) != run_id) continue;
    const bool stays = kept < keep || f.iter == best_iter;
    kept += kept < keep ? 1 : 0;
    (stays ? stay : go).push_back(snapshot_paths(prefix, f.iter));
  }
  if (go.empty()) return lines;
  if (std::none_of(stay.begin(), stay.end(), verifies)) {
    lines.push_back("kept all old snapshots of " + prefix + ": none of the newest can be verified");
    return lines;
  }
  for (const SnapshotPaths& pair : go) {  // first the state: never a state without its model
    remove_file(pair.state);
    remove_file(pair.model);
    lines.push_back("removed the old snapshot " + pair.state);
  }
  return lines;
}

}  // namespace resnet
