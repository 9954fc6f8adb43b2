// The JSON lines and docs/log.schema.json say the same.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <set>
#include <sstream>

#include "exchange/python.h"
#include "resnet/io/files.h"
#include "test_paths.h"
#include "train/logged_run.h"

namespace resnet::testing {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using Members = google::protobuf::Map<std::string, Value>;

std::string schema_path() { return source_dir() + "/docs/log.schema.json"; }

Struct parse(const std::string& json) {
  Struct object;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &object).ok()) << json;
  return object;
}

const Members& members(const Value& value) { return value.struct_value().fields(); }

std::string type_of(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      return "null";
    case Value::kNumberValue:
      return std::floor(value.number_value()) == value.number_value() ? "integer" : "number";
    case Value::kStringValue:
      return "string";
    case Value::kBoolValue:
      return "boolean";
    case Value::kListValue:
      return "array";
    default:
      return "object";
  }
}

// As much of a JSON Schema validator as docs/log.schema.json needs. Unknown keywords are failures.
class Validator {
 public:
  Validator() : schema_(parse(read_file(schema_path()))) {}

  const Members& definition(const std::string& name) const {
    return members(members(schema_.fields().at("$defs")).at(name));
  }

  // What is wrong with the value; empty if nothing.
  std::string check(const Value& value, const Members& schema) const {
    for (const auto& [keyword, wanted] : schema) {
      std::string problem = keyword_problem(keyword, wanted, value, schema);
      if (!problem.empty()) return problem;
    }
    return {};
  }

 private:
  std::string keyword_problem(const std::string& keyword, const Value& wanted, const Value& value,
                              const Members& schema) const {
    if (keyword == "description" || keyword == "properties") return {};
    if (keyword == "$ref") {
      const std::string name = wanted.string_value().substr(std::string("#/$defs/").size());
      return check(value, definition(name));
    }
    if (keyword == "type") return type_problem(wanted, value);
    if (keyword == "const") return equal(wanted, value) ? "" : "is not the constant";
    if (keyword == "enum") {
      for (const Value& one : wanted.list_value().values()) {
        if (equal(one, value)) return {};
      }
      return "is none of the enum";
    }
    if (keyword == "minimum" || keyword == "maximum") {
      if (!value.has_number_value()) return {};
      const double by = value.number_value() - wanted.number_value();
      return (keyword == "minimum" ? by >= 0 : by <= 0) ? "" : "is beyond the " + keyword;
    }
    if (keyword == "items") {
      for (const Value& one : value.list_value().values()) {
        std::string problem = check(one, members(wanted));
        if (!problem.empty()) return problem;
      }
      return {};
    }
    if (keyword == "required") {
      for (const Value& name : wanted.list_value().values()) {
        if (!members(value).contains(name.string_value())) return "lacks " + name.string_value();
      }
      return {};
    }
    if (keyword == "additionalProperties") return members_problem(wanted, value, schema);
    return "keyword " + keyword + " is unknown";
  }

  // Members by `properties`, others by `additionalProperties`.
  std::string members_problem(const Value& others, const Value& value,
                              const Members& schema) const {
    static const Members none;
    const Members& properties =
        schema.contains("properties") ? members(schema.at("properties")) : none;
    for (const auto& [name, member] : members(value)) {
      std::string problem;
      if (properties.contains(name)) {
        problem = check(member, members(properties.at(name)));
      } else if (others.has_bool_value()) {
        problem = others.bool_value() ? "" : "is not in the schema";
      } else {
        problem = check(member, members(others));
      }
      if (!problem.empty()) return problem.insert(0, name + " ");
    }
    return {};
  }

  static std::string type_problem(const Value& wanted, const Value& value) {
    const std::string type = type_of(value);
    const auto fits = [&](const std::string& name) {
      return name == type || (name == "number" && type == "integer");
    };
    if (wanted.has_string_value()) return fits(wanted.string_value()) ? "" : "is of type " + type;
    for (const Value& one : wanted.list_value().values()) {
      if (fits(one.string_value())) return {};
    }
    return "is of type " + type;
  }

  static bool equal(const Value& a, const Value& b) {
    return a.SerializeAsString() == b.SerializeAsString();
  }

  const Struct schema_;
};

// Every event with every key that it may have.
void log_everything(const std::string& path) {
  const auto log = json_observer(path);
  log->on_start({});
  log->on_note("a \"warning\"\n");
  StepReport step;
  step.loss = step.smoothed_loss = NAN;
  step.metrics = {{"accuracy", Output::Kind::metric, NAN, 8, 0}};
  step.error = 0.5;
  step.seconds = 1;
  StartReport start;
  start.display = 1;
  start.seed = 3;
  start.resumed_from = "run_iter_5.solverstate";
  log->on_start(start);
  log->on_step(step);
  TestReport test;
  test.metrics = {{"loss", Output::Kind::loss, 2.5, 8, 1}};
  test.error = 0.75;
  test.error_top5 = NAN;
  log->on_test(test);
  log->on_snapshot({5, snapshot_paths("run", 5), 0.25, {}});
  StopReport stop;
  stop.why = StopReport::Why::non_finite;
  stop.loss = INFINITY;
  stop.message = "the loss is infinite";
  stop.record_keys = {"00000001_cat", "00000002_dog"};
  log->on_stop(stop);
}

class LogSchema : public ::testing::Test {
 protected:
  LogSchema() {
    write_small_cifar(dir_.path());
    log_everything(all_);
    const auto logs = [&](const Net&) { return one(json_observer(real_)); };
    logged_run(dir_.path(), "", logs);
    logged_run(dir_.path(), snapshot_paths(dir_ / "run", 5).state, logs, "max_iter: 12");
  }

  ScratchDirectory dir_;
  const std::string all_ = dir_ / "all.log.jsonl", real_ = dir_ / "real.log.jsonl";
};

TEST_F(LogSchema, EachEventHasExactlyItsKeys) {
  const Validator validator;
  std::map<std::string, std::set<std::string>> seen;
  for (const std::string& path : {all_, real_}) {
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
      Value value;
      *value.mutable_struct_value() = parse(line);
      const std::string event = members(value).at("event").string_value();
      EXPECT_EQ(validator.check(value, validator.definition(event)), "") << line;
      for (const auto& [key, member] : members(value)) seen[event].insert(key);
    }
  }
  EXPECT_EQ(seen.size(), 6U);
  for (const auto& [event, keys] : seen) {
    for (const auto& [key, schema] : members(validator.definition(event).at("properties"))) {
      EXPECT_TRUE(keys.contains(key)) << event << " is never written with " << key;
    }
  }
}

TEST_F(LogSchema, TheValidatorFindsMistakes) {
  const Validator validator;
  const auto problem = [&](const std::string& json) {
    Value value;
    *value.mutable_struct_value() = parse(json);
    return validator.check(value, validator.definition(members(value).at("event").string_value()));
  };
  const std::string warning = R"({"event":"warning","iteration":0,"time":1,"message":"m"})";
  EXPECT_EQ(problem(warning), "");
  EXPECT_NE(problem(R"({"event":"warning","iteration":0,"time":1})"), "");
  EXPECT_NE(problem(R"({"event":"warning","iteration":0,"time":1,"message":7})"), "");
  EXPECT_NE(problem(R"({"event":"warning","iteration":-1,"time":1,"message":"m"})"), "");
  EXPECT_NE(problem(R"({"event":"warning","iteration":0.5,"time":1,"message":"m"})"), "");
  EXPECT_NE(problem(R"({"event":"warning","iteration":0,"time":1,"message":"m","more":1})"), "");
  EXPECT_NE(problem(R"({"event":"stop","iteration":0,"time":1,"why":"tired"})"), "");
}

TEST_F(LogSchema, AnIndependentValidatorAgrees) {
  const test::Python python = test::python_with({"jsonschema"});
  if (!python.skip.empty()) GTEST_SKIP() << python.skip;
  const std::string script = source_dir() + "/tests/train/check_log_schema.py";
  const test::PythonResult good = test::run_python(python, {script, schema_path(), all_, real_});
  EXPECT_EQ(good.code, 0) << good.output;
  write_text(dir_ / "bad", R"({"event":"stop","iteration":0,"time":1,"why":"tired"})");
  EXPECT_EQ(test::run_python(python, {script, schema_path(), dir_ / "bad"}).code, 1);
}

TEST_F(LogSchema, ALineThatAKilledRunLeftIsEnded) {
  const std::string path = dir_ / "killed.log.jsonl";
  write_text(path, "{\"event\":\"start\",\"iteration\":0}\n{\"event\":\"st");
  json_observer(path)->on_start({});
  const std::string text = read_file(path);
  EXPECT_NE(text.find("{\"event\":\"st\n{\"event\":\"start\""), std::string::npos) << text;
}

}  // namespace
}  // namespace resnet::testing
