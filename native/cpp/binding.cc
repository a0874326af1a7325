// What JavaScript sees. Every environment (main thread, each worker) has a sampler of its own.
#define NAPI_VERSION 8
#include <node_api.h>

#include <cstring>
#include <new>

#include "sampler.h"

namespace {

using steptree::Drawn;
using steptree::Primitives;
using steptree::Sampler;
using steptree::Settings;

const Primitives* fastest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &steptree::kAvx2;
#endif
  return &steptree::kPortable;
}

const Primitives* named(const char* name) {
  const Primitives* best = fastest();
  if (std::strcmp(name, best->name) == 0) return best;
  return std::strcmp(name, steptree::kPortable.name) == 0 ? &steptree::kPortable : nullptr;
}

struct Array {
  void* data = nullptr;
  size_t length = 0;
};

bool arrayOf(napi_env env, napi_value value, napi_typedarray_type wanted, Array* out) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &out->length, &out->data, nullptr, nullptr) !=
      napi_ok) {
    return false;
  }
  return type == wanted;
}

napi_value fail(napi_env env, const char* message) {
  napi_throw_type_error(env, nullptr, message);
  return nullptr;
}

Sampler* samplerOf(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Sampler*>(data);
}

napi_value number(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

// sample(logits, vocab, rows, settings, seen, tokens, rises, sums): the first row that can't be drawn
// from, or -1.
napi_value sample(napi_env env, napi_callback_info info) {
  size_t argc = 8;
  napi_value argv[8];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  uint32_t vocab = 0, rows = 0;
  Array logits, settings, tokens, rises, sums;
  if (argc != 8 || !arrayOf(env, argv[0], napi_float32_array, &logits) ||
      napi_get_value_uint32(env, argv[1], &vocab) != napi_ok ||
      napi_get_value_uint32(env, argv[2], &rows) != napi_ok ||
      !arrayOf(env, argv[3], napi_float64_array, &settings) ||
      !arrayOf(env, argv[5], napi_int32_array, &tokens) ||
      !arrayOf(env, argv[6], napi_float64_array, &rises) ||
      !arrayOf(env, argv[7], napi_float64_array, &sums)) {
    return fail(env, "sample: wrong arguments");
  }
  constexpr size_t width = sizeof(Settings) / sizeof(double);
  if (vocab == 0 || logits.length / vocab < rows || settings.length / width < rows ||
      tokens.length < rows || rises.length < rows || sums.length < rows) {
    return fail(env, "sample: arrays too short");
  }
  bool anySeen = false;
  napi_is_array(env, argv[4], &anySeen);
  Sampler* sampler = samplerOf(env);
  for (uint32_t row = 0; row < rows; row++) {
    Settings one;
    std::memcpy(&one, static_cast<double*>(settings.data) + row * width, sizeof one);
    Array seen;
    if (anySeen && one.penalty != 1) {
      napi_value value;
      napi_get_element(env, argv[4], row, &value);
      napi_valuetype type;
      napi_typeof(env, value, &type);
      if (type == napi_object && (!arrayOf(env, value, napi_uint8_array, &seen) || seen.length < vocab)) {
        return fail(env, "sample: wrong marks of seen tokens");
      }
    }
    Drawn drawn;
    if (!sampler->sample(static_cast<float*>(logits.data) + static_cast<size_t>(row) * vocab, vocab,
                         one, static_cast<uint8_t*>(seen.data), &drawn)) {
      return number(env, static_cast<int32_t>(row));
    }
    static_cast<int32_t*>(tokens.data)[row] = drawn.token;
    static_cast<double*>(rises.data)[row] = drawn.rise;
    static_cast<double*>(sums.data)[row] = drawn.sum;
  }
  return number(env, -1);
}

// gather(logits, vocab, rows, picks, rises, sums): the first row that has no softmax, or -1.
napi_value gather(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  uint32_t vocab = 0, rows = 0;
  Array logits, picks, rises, sums;
  if (argc != 6 || !arrayOf(env, argv[0], napi_float32_array, &logits) ||
      napi_get_value_uint32(env, argv[1], &vocab) != napi_ok ||
      napi_get_value_uint32(env, argv[2], &rows) != napi_ok ||
      !arrayOf(env, argv[3], napi_int32_array, &picks) ||
      !arrayOf(env, argv[4], napi_float64_array, &rises) ||
      !arrayOf(env, argv[5], napi_float64_array, &sums)) {
    return fail(env, "gather: wrong arguments");
  }
  if (vocab == 0 || rows == 0 || logits.length / vocab < rows || picks.length % rows != 0 ||
      rises.length < picks.length || sums.length < rows) {
    return fail(env, "gather: arrays too short");
  }
  const size_t width = picks.length / rows;
  Sampler* sampler = samplerOf(env);
  for (uint32_t row = 0; row < rows; row++) {
    const float* x = static_cast<float*>(logits.data) + static_cast<size_t>(row) * vocab;
    float top;
    if (!sampler->sumWeights(x, vocab, &top, static_cast<double*>(sums.data) + row)) {
      return number(env, static_cast<int32_t>(row));
    }
    for (size_t i = row * width; i < (row + 1) * width; i++) {
      const int32_t id = static_cast<int32_t*>(picks.data)[i];
      if (id < 0 || static_cast<uint32_t>(id) >= vocab) return fail(env, "gather: no such token");
      static_cast<double*>(rises.data)[i] = static_cast<double>(x[id]) - static_cast<double>(top);
    }
  }
  return number(env, -1);
}

// use(name): whether this processor has these instructions; they are used from then on.
napi_value use(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  char name[16] = {};
  if (argc == 1) napi_get_value_string_utf8(env, argv[0], name, sizeof name, nullptr);
  const Primitives* found = named(name);
  if (found != nullptr) samplerOf(env)->use(found);
  napi_value result;
  napi_get_boolean(env, found != nullptr, &result);
  return result;
}

napi_value instructions(napi_env env, napi_callback_info) {
  napi_value result;
  napi_create_string_utf8(env, samplerOf(env)->primitives().name, NAPI_AUTO_LENGTH, &result);
  return result;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace

NAPI_MODULE_INIT() {
  auto* sampler = new (std::nothrow) Sampler(fastest());
  if (sampler == nullptr) return nullptr;
  napi_set_instance_data(
      env, sampler, [](napi_env, void* data, void*) { delete static_cast<Sampler*>(data); },
      nullptr);
  define(env, exports, "sample", sample);
  define(env, exports, "gather", gather);
  define(env, exports, "use", use);
  define(env, exports, "instructions", instructions);
  return exports;
}
